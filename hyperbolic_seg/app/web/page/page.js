"use strict";

const at = (id) => document.getElementById(id);
const state = { pictures: [], shown: null, most: 1, view: "overlay" };

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
    at("go").disabled = state.shown === null;
  }
}

function upload(files) {
  return busy("Uploading ...", async () => {
    const refused = [];
    for (const file of files) {
      const body = new FormData();
      body.append("file", file);
      try {
        await take(await ask("api/pictures", { method: "POST", body }), file.name);
      } catch (error) {
        refused.push(`${file.name}: ${error.message}`);
      }
    }
    if (refused.length) throw new Error(refused.join("; "));
  });
}

function take(picture, name) {
  const known = state.pictures.find((one) => one.id === picture.id);
  const taken = known || { ...picture, name, answer: null, asked: null };
  if (!known) state.pictures = [...state.pictures, taken].slice(-state.most);
  return select(taken);
}

async function select(picture) {
  state.shown = picture;
  show();
  if (picture.asked !== question()) await segment(picture);
}

function question() {
  const prompts = at("prompts").value.split(",").map((word) => word.trim()).filter(Boolean);
  const threshold = Number(at("threshold").value);
  return JSON.stringify({ prompts: prompts.length ? prompts : null, threshold: threshold > 0.5 ? threshold : null });
}

async function segment(picture) {
  const asked = question();
  const headers = { "Content-Type": "application/json" };
  const path = `api/pictures/${picture.id}/segmentation`;
  picture.answer = await ask(path, { method: "POST", headers, body: asked });
  picture.asked = asked;
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

function thumbnail(picture) {
  const [button, image] = [document.createElement("button"), document.createElement("img")];
  button.type = "button";
  button.setAttribute("aria-pressed", String(picture === state.shown));
  image.src = picture.picture;
  image.alt = button.title = picture.name;
  button.append(image);
  button.addEventListener("click", () => busy("Looking ...", () => select(picture)));
  return button;
}

function show() {
  const { pictures, shown, view } = state;
  at("results").hidden = shown === null;
  if (shown === null) return;
  at("pictures").replaceChildren(...(pictures.length > 1 ? pictures.map(thumbnail) : []));
  const answer = shown.answer;
  const source = view === "picture" || answer === null ? shown.picture : answer[view];
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

at("file").addEventListener("change", (event) => {
  const files = [...event.target.files];
  event.target.value = ""; // the same file may be chosen again
  upload(files);
});
at("form").addEventListener("submit", (event) => {
  event.preventDefault();
  if (state.shown) busy("Looking ...", () => segment(state.shown));
});
at("threshold").addEventListener("input", (event) => {
  at("sure").textContent = event.target.value > 0.5 ? percent(event.target.value) : "off";
});
for (const name of ["dragover", "dragleave", "drop"]) {
  at("drop").addEventListener(name, (event) => {
    event.preventDefault();
    at("drop").classList.toggle("over", name === "dragover");
    if (name === "drop") upload([...event.dataTransfer.files]);
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
  state.most = model.limits.pictures;
  at("prompts").placeholder = model.prompts.join(", ");
  for (const name of model.examples) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = name;
    button.addEventListener("click", () =>
      busy("Rendering ...", async () => take(await ask(`api/examples/${name}`, { method: "POST" }), name)));
    at("examples").append(button, " ");
  }
});
