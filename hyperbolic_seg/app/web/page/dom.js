export const at = (id) => document.getElementById(id);

const SVG = "http://www.w3.org/2000/svg";

export async function request(path, options) {
  const response = await fetch(path, options);
  const answer = await response.json().catch(() => ({ detail: response.statusText }));
  if (!response.ok) {
    const detail = answer.detail;
    const error = new Error(typeof detail === "string" ? detail : detail.map((one) => one.msg).join("; "));
    error.retryAfter = Number(response.headers.get("retry-after")) || null;
    throw error;
  }
  return answer;
}

/** Make an element of HTML with a text, elements or both inside. */
export function element(name, attributes = {}, ...inside) {
  return filled(document.createElement(name), attributes, inside);
}

/** Make an element of SVG. */
export function shape(name, attributes = {}, ...inside) {
  return filled(document.createElementNS(SVG, name), attributes, inside);
}

function filled(made, attributes, inside) {
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...inside);
  return made;
}

export function percent(share, digits = 1) {
  return `${(100 * share).toFixed(digits)}\u00a0%`;
}
