import { at, element, percent, shape } from "./dom.js";

const WINDS = ["N", "NE", "E", "SE", "S", "SW", "W", "NW"];

export function oktas(cloud) {
  return `${cloud.oktas} ${cloud.oktas === 1 ? "okta" : "oktas"}`;
}

export function interval(cover) {
  return `${percent(cover.fraction, 0)} (${(100 * cover.low).toFixed(0)} to ${percent(cover.high, 0)})`;
}

/** Return what the interval of the cover of a record is; null if it has none. */
export function meaning(record) {
  const about = record.interval;
  if (!about) return null;
  if (about.kind === "model") return "The interval is the model's own, without a guarantee";
  const days = `calibrated on ${about.days} days`;
  if (about.kind === "calibrated") return `The interval is ${days}, for ${percent(about.confidence, 0)} of pictures`;
  return `The interval is ${days} unlike this picture, so its guarantee does not hold here: ${about.outside.join(", ")}`;
}

/** Return the quality of a record in words, with its reasons; null if it was not examined. */
export function quality(record, meanings) {
  if (!record.quality) return null;
  const words = { ok: "The picture is good.", doubtful: "Doubtful", refused: "No picture of the sky" };
  const reasons = (record.quality_reasons || []).map((name) => `${name}: ${meanings[name] || "no more is known"}`);
  return reasons.length ? `${words[record.quality] || record.quality}. ${reasons.join("; ")}` : words[record.quality];
}

function direction(body) {
  const up = body.elevation >= 0 ? "above" : "below";
  const wind = WINDS[Math.round(body.azimuth / 45) % 8];
  return `${Math.abs(body.elevation).toFixed(1)}° ${up} the horizon, azimuth ${body.azimuth.toFixed(1)}° (${wind})`;
}

export function clock(time) {
  return time.replace("T", " ").replace(/\.\d+/, "");
}

function timeOf(record) {
  if (!record.time) return "not known: give time_format in the camera file, or keep the EXIF data";
  const sources = { name: "the file name", file: "the last change of the file" };
  return `${clock(record.time)}, from ${sources[record.time_source] || `${record.time_source} in the EXIF data`}`;
}

/** Show what a record says about the sky. */
export function showObservation(record, meanings) {
  const observed = record !== null && "cover" in record;
  const words = record === null ? null : quality(record, meanings);
  const notes = record === null ? [] : record.notes || [];
  at("observed").hidden = !observed && !words && !notes.length;
  if (at("observed").hidden) return;
  const cloud = record.cloud;
  const none = record.quality === "refused" ? "" : "No cover by all clouds: add clear sky to the prompts";
  at("oktas").textContent = !observed ? "" : cloud ? `${oktas(cloud)}, ${interval(cloud)} of the sky` : none;
  at("quality").textContent = words || "";
  at("quality").dataset.quality = record.quality || "";
  const facts = observed ? [["Time", timeOf(record)]] : [];
  if (observed && meaning(record)) facts.push(["Interval", meaning(record)]);
  if (record.sun) facts.push(["Sun", `${direction(record.sun)}, ${record.sun.phase}`]);
  if (record.moon) facts.push(["Moon", `${direction(record.moon)}, ${percent(record.moon.illumination, 0)} lit`]);
  const regions = record.quality === "refused" ? [] : Object.entries(record.regions || {});
  for (const [name, cover] of regions) {
    facts.push([name, cover ? `${oktas(cover)}, ${interval(cover)}` : "nothing of it is seen, or it is not known where"]);
  }
  for (const note of notes) facts.push(["Note", note]);
  at("facts").replaceChildren(...facts.flatMap(([name, text]) => [element("dt", {}, name), element("dd", {}, text)]));
}

/** Draw sun, moon and what does not count over the picture. */
export function showMarks(record, marks, shown) {
  const present = Boolean(marks) && shown;
  at("hidden").hidden = !present || !marks.hidden;
  if (present && marks.hidden) at("hidden").src = marks.hidden;
  at("marks").replaceChildren();
  if (!present) return;
  const { width, height } = record;
  at("marks").setAttribute("viewBox", `-0.5 -0.5 ${width} ${height}`);
  const size = Math.max(width, height) / 40;
  for (const [name, place] of [["sun", marks.sun], ["moon", marks.moon]]) {
    if (!place) continue;
    const left = place.x > 0.8 * width;
    const label = { x: place.x + (left ? -1.6 : 1.6) * size, y: place.y + 0.5 * size, "font-size": 1.6 * size };
    at("marks").append(
      shape("circle", { class: name, cx: place.x, cy: place.y, r: size, "stroke-width": size / 4 }),
      shape("text", { ...label, "text-anchor": left ? "end" : "start", "stroke-width": size / 4 }, name));
  }
}
