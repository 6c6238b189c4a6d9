import { at, element, request, shape } from "./dom.js";
import { clock, interval, meaning, oktas, quality } from "./sky.js";

const POLL = 30_000; // milliseconds
const HEIGHT = 190;
const EDGE = { left: 34, right: 8, top: 8, bottom: 34 };
const state = { meanings: {}, now: null, read: 0, day: null, followed: true, chosen: null };

export function startWatched(meanings) {
  state.meanings = meanings;
  at("watched").hidden = false;
  at("before").addEventListener("click", () => openDay(state.day.previous));
  at("after").addEventListener("click", () => openDay(state.day.next));
  at("strip").addEventListener("pointermove", (event) => choose(nearest(event.offsetX)));
  at("strip").addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step || !state.day) return;
    event.preventDefault();
    choose(Math.min(Math.max((state.chosen ?? state.day.points.length) + step, 0), state.day.points.length - 1));
  });
  new ResizeObserver(draw).observe(at("strip").parentElement);
  setInterval(showAge, 10_000);
  poll();
}

async function poll() {
  let wait = POLL;
  try {
    state.now = await request("api/watched");
    state.read = Date.now();
    showLatest();
    if (state.followed && state.now.last_day) await openDay(state.now.last_day);
    at("watching").textContent = "";
  } catch (error) {
    at("watching").textContent = error.message;
    wait = error.retryAfter ? 1000 * Math.min(error.retryAfter, 30) : POLL;
  }
  setTimeout(poll, wait);
}

function showLatest() {
  const { latest, error, ahead } = state.now;
  const cloud = latest && latest.cloud;
  at("now").textContent = latest === null ? "No picture yet"
    : cloud ? `${oktas(cloud)}, ${interval(cloud)} of the sky`
    : latest.quality === "refused" ? "No picture of the sky" : "No cover of the sky";
  at("now-quality").textContent = (latest && quality(latest, state.meanings)) || "";
  at("now-quality").dataset.quality = (latest && latest.quality) || "";
  const remarks = [];
  if (latest && meaning(latest)) remarks.push(`${meaning(latest)}.`);
  if (error) remarks.push(`The last picture could not be read or predicted: ${error}`);
  if (ahead) remarks.push(`${ahead} pictures have a time in the future: is the clock of the camera right?`);
  if (latest && !state.now.last_day) remarks.push("The records have no time: give watch a --camera that tells it.");
  at("remarks").replaceChildren(...remarks.map((text) => element("li", {}, text)));
  showAge();
}

function ago(seconds) {
  const minutes = Math.floor(seconds / 60);
  if (minutes < 1) return "less than a minute ago";
  const units = [[1440, "day"], [60, "hour"], [1, "minute"]];
  const [size, unit] = units.find(([size]) => minutes >= 2 * size) || units[2];
  const count = Math.floor(minutes / size);
  return `${count} ${unit}${count === 1 ? "" : "s"} ago`;
}

function showAge() {
  const now = state.now;
  if (now === null || now.latest === null || now.age_seconds === null) {
    at("age").textContent = "";
    at("age").dataset.old = false;
    return;
  }
  const age = Math.max(now.age_seconds + (Date.now() - state.read) / 1000, 0);
  const old = age > now.old_after_seconds;
  const what = now.age_from === "time" ? `${clock(now.latest.time)}` : `${now.latest.name}, by its last change`;
  at("age").textContent = `${old ? "Old: " : ""}${ago(age)} (${what})`;
  at("age").dataset.old = old;
}

async function openDay(name) {
  try {
    const shown = state.day && state.day.day;
    state.day = await request(`api/watched/days/${name}`);
    state.followed = state.day.next === null;
    if (shown !== name) state.chosen = null;
    draw();
  } catch (error) {
    at("watching").textContent = error.message;
  }
}

function scales() {
  const width = Math.max(at("strip").clientWidth, 200);
  const hours = Math.max(24, ...state.day.points.map((one) => one.hour));
  const [across, down] = [width - EDGE.left - EDGE.right, HEIGHT - EDGE.top - EDGE.bottom];
  return { width, hours, x: (hour) => EDGE.left + (across * hour) / hours, y: (share) => EDGE.top + down * (1 - share) };
}

function draw() {
  const { day } = state;
  at("day").hidden = day === null;
  if (day === null) return;
  at("date").textContent = day.day;
  at("before").disabled = day.previous === null;
  at("after").disabled = day.next === null;
  const scale = scales();
  at("strip").setAttribute("viewBox", `0 0 ${scale.width} ${HEIGHT}`);
  at("strip").replaceChildren(...axes(scale), ...runs(day.points).flatMap((run) => curve(run, scale)),
    ...day.points.flatMap((one) => sign(one, scale)), shape("line", { id: "cursor", class: "cursor" }));
  const text = summary(day);
  at("strip").setAttribute("aria-label", `Cloud cover in the course of ${day.day}. ${text}`);
  at("course").textContent = text;
  choose(state.chosen);
}

function summary({ points, images }) {
  const count = (name) => points.filter((one) => one.quality === name).length;
  const covers = points.filter((one) => one.cloud).map((one) => one.cloud.oktas);
  const range = covers.length ? `${Math.min(...covers)} to ${Math.max(...covers)} oktas` : "no cover";
  const kept = points.length < images ? `, of which ${points.length} are shown, the last of each minute` : "";
  return `${images} pictures${kept}: ${range}, ${count("doubtful")} doubtful, ${count("refused")} refused.`;
}

/** Split the course of a day where there is a gap: no cover, or no picture for much longer than usual. */
function runs(points) {
  const steps = points.slice(1).map((one, i) => one.hour - points[i].hour).sort((a, b) => a - b);
  const longest = Math.max(1 / 6, 3 * (steps[Math.floor(steps.length / 2)] || 0));
  const found = [];
  let last = null;
  for (const one of points) {
    const joined = last !== null && last.cloud && one.cloud && one.hour - last.hour <= longest;
    if (one.cloud) (joined ? found[found.length - 1] : found[found.push([]) - 1]).push(one);
    last = one;
  }
  return found;
}

function curve(run, { x, y }) {
  const path = (part) => run.map((one) => `${x(one.hour).toFixed(1)},${y(one.cloud[part]).toFixed(1)}`);
  if (run.length === 1) {
    const [{ hour, cloud }] = run;
    return [shape("line", { class: "lonely", x1: x(hour), x2: x(hour), y1: y(cloud.low), y2: y(cloud.high) }),
      shape("circle", { class: "point", cx: x(hour), cy: y(cloud.fraction), r: 2.5 })];
  }
  return [shape("polygon", { class: "band", points: [...path("low"), ...path("high").reverse()].join(" ") }),
    shape("polyline", { class: "curve", points: path("fraction").join(" ") })];
}

/** Mark a doubtful picture by a diamond on its cover, and a refused one by a cross below the chart. */
function sign(one, { x, y }) {
  const across = x(one.hour);
  if (one.quality === "doubtful" && one.cloud) {
    const down = y(one.cloud.fraction);
    const points = [[0, -5], [5, 0], [0, 5], [-5, 0]].map(([dx, dy]) => `${across + dx},${down + dy}`).join(" ");
    return [shape("polygon", { class: "doubtful", points })];
  }
  if (one.quality !== "refused") return [];
  const down = y(0) + 8;
  return [shape("path", { class: "refused", d: `M${across - 3} ${down - 3}l6 6m0 -6l-6 6` })];
}

function axes({ width, hours, x, y }) {
  const step = width < 500 ? 6 : 3;
  const made = [];
  for (let eighths = 0; eighths <= 8; eighths += 2) {
    const down = y(eighths / 8);
    made.push(shape("line", { class: "grid", x1: x(0), x2: x(hours), y1: down, y2: down }),
      shape("text", { x: x(0) - 6, y: down + 4, "text-anchor": "end" }, `${eighths}`));
  }
  for (let hour = 0; hour <= hours; hour += step) {
    made.push(shape("line", { class: "grid", x1: x(hour), x2: x(hour), y1: y(1), y2: y(0) }),
      shape("text", { x: x(hour), y: HEIGHT - 6, "text-anchor": hour + step > hours ? "end" : "middle" }, `${hour} h`));
  }
  return made;
}

function nearest(offset) {
  if (!state.day || !state.day.points.length) return null;
  const { x } = scales();
  const away = state.day.points.map((one) => Math.abs(x(one.hour) - offset));
  return away.indexOf(Math.min(...away));
}

function choose(index) {
  const one = index === null || !state.day ? undefined : state.day.points[index];
  state.chosen = one ? index : null;
  at("chosen").textContent = one ? describe(one) : "";
  const cursor = at("cursor");
  if (!cursor) return;
  cursor.setAttribute("visibility", one ? "visible" : "hidden");
  if (!one) return;
  const { x, y } = scales();
  for (const [name, value] of [["x1", x(one.hour)], ["x2", x(one.hour)], ["y1", y(1)], ["y2", y(0)]]) {
    cursor.setAttribute(name, value);
  }
}

function describe(one) {
  const found = one.cloud ? `${oktas(one.cloud)}, ${interval(one.cloud)}` : "no cover";
  const words = one.quality === "ok" ? null : quality(one, state.meanings);
  return `${clock(one.time)}: ${found}${words ? `. ${words}` : ""}`;
}
