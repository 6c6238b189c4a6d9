"use strict";

const at = (id) => document.getElementById(id);
const state = { picture: null, answer: null, view: "overlay" };

async function ask(path, options) {
  const response = await fetch(path, options);
  const answer = await response.json().catch(() => ({ detail: response.statusText }));
  if (!response.ok) {
    const detail = answer.detail;
    throw new Error(typeof detail === "string" ? detail : detail.map((one) => one.msg).join("; "));
  }
  return answer;
}

function say(text, wrong = false) {
  at("status").textContent = text;
  at("status").classList.toggle("error", wrong);
}

async function busy(text, work) {
  say(text);
  at("go").disabled = true;
  try {
    await work();
    say("");
  } catch (error) {
    say(error.message, true);
  } finally {
    at("go").disabled = state.picture === null;
  }
}

function take(picture) {
  state.picture = picture;
  state.answer = null;
  show();
  return segment();
}

function upload(file) {
  const body = new FormData();
  body.append("file", file);
  return busy("Uploading ...", async () => take(await ask("api/pictures", { method: "POST", body })));
}

async function segment() {
  const prompts = at("prompts").value.split(",").map((word) => word.trim()).filter(Boolean);
  const threshold = Number(at("threshold").value);
  const question = { prompts: prompts.length ? prompts : null, threshold: threshold > 0.5 ? threshold : null };
  state.answer = await ask(`api/pictures/${state.picture.id}/segmentation`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(question),
  });
  show();
}

function percent(share) {
  return `${(100 * share).toFixed(1)} %`;
}

function row(name, share, color) {
  const line = document.createElement("tr");
  const [label, value] = [document.createElement("td"), document.createElement("td")];
  if (color) {
    const swatch = document.createElement("span");
    swatch.className = "swatch";
    swatch.style.setProperty("background", `rgb(${color.join(",")})`);
    label.append(swatch);
  }
  label.append(name);
  value.textContent = percent(share);
  line.append(label, value);
  return line;
}

function show() {
  const { picture, answer, view } = state;
  at("results").hidden = picture === null;
  if (picture === null) return;
  const source = view === "picture" || answer === null ? picture.picture : answer[view];
  at("view").src = source;
  at("view").alt = { picture: "the picture", overlay: "masks over the picture", doubt: "map of doubt" }[view];
  for (const button of document.querySelectorAll("[data-view]")) {
    button.setAttribute("aria-pressed", String(button.dataset.view === view));
  }
  at("caption").textContent = answer === null ? "" : view === "doubt"
    ? `bright: doubtful, by the ${answer.doubt_by === "radius" ? "hyperbolic radius" : "probability of the label"}`
    : `mean confidence ${percent(answer.mean_confidence)}`;
  const classes = answer === null ? [] : [...answer.classes].sort((one, other) => other.fraction - one.fraction);
  at("classes").replaceChildren(...classes.map((one) => row(one.name, one.fraction, one.color)));
  const nodes = (answer && answer.nodes) || [];
  at("nodes").hidden = nodes.length === 0;
  at("nodes").tBodies[0].replaceChildren(...nodes.map((one) => row(one.name, one.fraction)));
}

at("file").addEventListener("change", (event) => event.target.files[0] && upload(event.target.files[0]));
at("form").addEventListener("submit", (event) => {
  event.preventDefault();
  if (state.picture) busy("Looking ...", segment);
});
at("threshold").addEventListener("input", (event) => {
  at("sure").textContent = event.target.value > 0.5 ? percent(event.target.value) : "off";
});
for (const name of ["dragover", "dragleave", "drop"]) {
  at("drop").addEventListener(name, (event) => {
    event.preventDefault();
    at("drop").classList.toggle("over", name === "dragover");
    if (name === "drop" && event.dataTransfer.files[0]) upload(event.dataTransfer.files[0]);
  });
}
for (const button of document.querySelectorAll("[data-view]")) {
  button.addEventListener("click", () => {
    state.view = button.dataset.view;
    show();
  });
}
busy("", async () => {
  const model = await ask("api/model");
  at("prompts").placeholder = model.prompts.join(", ");
  for (const name of model.examples) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = name;
    button.addEventListener("click", () =>
      busy("Rendering ...", async () => take(await ask(`api/examples/${name}`, { method: "POST" }))));
    at("examples").append(button, " ");
  }
});
