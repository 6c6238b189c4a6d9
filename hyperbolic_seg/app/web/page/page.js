"use strict";

const at = (id) => document.getElementById(id);
const state = { images: [], shown: null, limit: 1, view: "overlay" };

async function request(path, options) {
  const response = await fetch(path, options);
  const answer = await response.json().catch(() => ({ detail: response.statusText }));
  if (!response.ok) {
    const detail = answer.detail;
    throw new Error(typeof detail === "string" ? detail : detail.map((one) => one.msg).join("; "));
  }
  return answer;
}

function showStatus(text, wrong = false) {
  at("status").textContent = text;
  at("status").classList.toggle("error", wrong);
}

async function busy(text, work) {
  showStatus(text);
  at("go").disabled = true;
  try {
    await work();
    showStatus("");
  } catch (error) {
    showStatus(error.message, true);
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
        await add(await request("api/images", { method: "POST", body }), file.name);
      } catch (error) {
        refused.push(`${file.name}: ${error.message}`);
      }
    }
    if (refused.length) throw new Error(refused.join("; "));
  });
}

function add(image, name) {
  const known = state.images.find((one) => one.id === image.id);
  const added = known || { ...image, name, answer: null, question: null };
  if (!known) state.images = [...state.images, added].slice(-state.limit);
  return select(added);
}

async function select(image) {
  state.shown = image;
  show();
  if (image.question !== question()) await segment(image);
}

function question() {
  const prompts = at("prompts").value.split(",").map((word) => word.trim()).filter(Boolean);
  const threshold = Number(at("threshold").value);
  return JSON.stringify({ prompts: prompts.length ? prompts : null, threshold: threshold > 0.5 ? threshold : null });
}

async function segment(image) {
  const body = question();
  const headers = { "Content-Type": "application/json" };
  const path = `api/images/${image.id}/segmentation`;
  image.answer = await request(path, { method: "POST", headers, body });
  image.question = body;
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

function thumbnail(image) {
  const [button, preview] = [document.createElement("button"), document.createElement("img")];
  button.type = "button";
  button.setAttribute("aria-pressed", String(image === state.shown));
  preview.src = image.image;
  preview.alt = button.title = image.name;
  button.append(preview);
  button.addEventListener("click", () => busy("Segmenting ...", () => select(image)));
  return button;
}

function show() {
  const { images, shown, view } = state;
  at("results").hidden = shown === null;
  if (shown === null) return;
  at("images").replaceChildren(...(images.length > 1 ? images.map(thumbnail) : []));
  const answer = shown.answer;
  const source = view === "image" || answer === null ? shown.image : answer[view];
  at("view").src = source;
  at("view").alt = { image: "the image", overlay: "masks over the image", uncertainty: "map of uncertainty" }[view];
  for (const button of document.querySelectorAll("[data-view]")) {
    button.setAttribute("aria-pressed", String(button.dataset.view === view));
  }
  at("caption").textContent = answer === null ? "" : view === "uncertainty"
    ? `bright: uncertain, by the ${answer.uncertainty_by === "radius" ? "hyperbolic radius" : "probability of the label"}`
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
  if (state.shown) busy("Segmenting ...", () => segment(state.shown));
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
  const model = await request("api/model");
  state.limit = model.limits.images_per_client;
  at("prompts").placeholder = model.prompts.join(", ");
  for (const name of model.examples) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = name;
    button.addEventListener("click", () =>
      busy("Rendering ...", async () => add(await request(`api/examples/${name}`, { method: "POST" }), name)));
    at("examples").append(button, " ");
  }
});
