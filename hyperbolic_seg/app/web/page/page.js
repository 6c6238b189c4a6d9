import { at, element, percent, request } from "./dom.js";
import { interval, showMarks, showObservation } from "./sky.js";
import { startWatched } from "./watched.js";

const SMALL = 0.005; // classes below are folded
const state = { images: [], shown: null, limit: 1, view: "overlay", marks: true, model: null, chosen: false };

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

async function openExample(name) {
  await add(await request(`api/examples/${name}`, { method: "POST" }), name, name);
}

function add(image, name, example = null) {
  const known = state.images.find((one) => one.id === image.id);
  const added = known || { ...image, name, example, answer: null, question: null };
  if (!known) state.images = [...state.images, added].slice(-state.limit);
  return select(added);
}

async function select(image) {
  state.shown = image;
  show();
  if (image.question !== question()) await segment(image);
  else share(image);
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
  share(image);
  image.answer = await request(path, { method: "POST", headers, body });
  image.question = body;
  show();
}

/** Put prompts, threshold and the name of an example into the address of the page, never an image. */
function share(image) {
  const words = new URLSearchParams();
  if (at("prompts").value.trim()) words.set("prompts", at("prompts").value.trim());
  words.set("threshold", Number(at("threshold").value) > 0.5 ? at("threshold").value : "off");
  if (image.example) words.set("example", image.example);
  history.replaceState(null, "", `#${words}`);
  at("share").href = `#${words}`;
  at("share").parentElement.hidden = false;
}

/** Take prompts and threshold from the address of the page, and run its example. */
async function restore() {
  const words = new URLSearchParams(location.hash.slice(1));
  const [threshold, example] = [words.get("threshold"), words.get("example")];
  const number = threshold === "off" ? 0.5 : Number(threshold);
  if (threshold !== null && !(number >= 0.5 && number <= 1)) {
    throw new Error("the link has a threshold that is not above 0.5 and at most 1");
  }
  if (example !== null && !state.model.examples.includes(example)) {
    throw new Error(`the link names an unknown example; there are ${state.model.examples.join(", ")}`);
  }
  if (words.size) at("prompts").value = words.get("prompts") ?? "";
  if (threshold !== null) setThreshold(number);
  if (example !== null) await openExample(example);
}

function setThreshold(value) {
  at("threshold").value = value;
  showThreshold();
}

function showThreshold() {
  const value = Number(at("threshold").value);
  at("sure").textContent = value > 0.5 ? percent(value, 0) : "off";
}

function row(name, cells, color) {
  const label = element("td");
  if (color) {
    const swatch = element("span", { class: "swatch" });
    swatch.style.setProperty("background", `rgb(${color.join(",")})`);
    label.append(swatch);
  }
  label.append(name);
  return element("tr", {}, label, ...cells.map((text) => element("td", {}, text)));
}

function thumbnail(image) {
  const [button, preview] = [element("button", { type: "button" }), element("img", { src: image.image })];
  button.setAttribute("aria-pressed", String(image === state.shown));
  preview.alt = button.title = image.name;
  button.append(preview);
  button.addEventListener("click", () => busy("Segmenting ...", () => select(image)));
  return button;
}

function showPicture(image, answer) {
  const view = state.view;
  at("view").src = (view !== "image" && answer && answer[view]) || image.image;
  at("view").alt = { image: "the image", overlay: "masks over the image", uncertainty: "map of uncertainty" }[view];
  for (const button of document.querySelectorAll("[data-view]")) {
    button.setAttribute("aria-pressed", String(button.dataset.view === view));
    button.disabled = button.dataset.view !== "image" && answer !== null && !answer[button.dataset.view];
  }
  const marks = answer && answer.marks;
  at("show-marks").hidden = !marks;
  at("show-marks").setAttribute("aria-pressed", String(state.marks));
  showMarks(answer && answer.record, marks, state.marks);
  at("caption").textContent = !answer || !answer.overlay ? "" : view === "uncertainty"
    ? "bright: the probability of the label is small"
    : `mean confidence ${percent(answer.mean_confidence)}`;
}

function showClasses(answer) {
  const cover = (answer && answer.record.cover) || {};
  const withSky = Object.keys(cover).length > 0;
  for (const cell of document.querySelectorAll(".of-sky")) cell.hidden = !withSky;
  const classes = answer === null ? [] : [...answer.classes].sort((one, other) => other.fraction - one.fraction);
  const isSmall = (one) => Math.max(one.fraction, (cover[one.name] || one).fraction) < SMALL;
  const line = (one) => {
    const ofSky = withSky ? [cover[one.name] ? interval(cover[one.name]) : "not sky"] : [];
    return row(one.name, [...ofSky, percent(one.fraction)], one.color);
  };
  const small = classes.filter(isSmall);
  at("table").hidden = classes.length === 0;
  at("classes").replaceChildren(...classes.filter((one) => !isSmall(one)).map(line));
  at("folded").hidden = small.length === 0;
  at("folded-title").textContent = `${small.length} ${small.length === 1 ? "class" : "classes"} below 0.5 %`;
  at("small").replaceChildren(...small.map(line));
}

function show() {
  const { images, shown } = state;
  at("results").hidden = shown === null;
  if (shown === null) return;
  const answer = shown.answer;
  at("images").replaceChildren(...(images.length > 1 ? images.map(thumbnail) : []));
  showPicture(shown, answer);
  showObservation(answer && answer.record, state.model.reasons);
  showClasses(answer);
  const nodes = (answer && answer.nodes) || [];
  at("nodes").hidden = nodes.length === 0;
  at("nodes").tBodies[0].replaceChildren(...nodes.map((one) => row(one.name, [percent(one.fraction)])));
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
at("threshold").addEventListener("input", () => {
  state.chosen = true;
  showThreshold();
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
at("show-marks").addEventListener("click", () => {
  state.marks = !state.marks;
  show();
});
addEventListener("hashchange", () => busy("Rendering ...", restore));
busy("", async () => {
  const model = await request("api/model");
  state.model = model;
  state.limit = model.limits.images_per_client;
  at("prompts").placeholder = model.prompts.join(", ");
  if (!state.chosen) setThreshold(model.threshold ?? 0.5); // the answer may come after the first choice
  for (const name of model.examples) {
    const button = element("button", { type: "button" }, name);
    button.addEventListener("click", () => busy("Rendering ...", () => openExample(name)));
    at("examples").append(button, " ");
  }
  at("of-camera").hidden = !model.camera;
  if (model.watched) startWatched(model.reasons);
  await restore();
});
