// The form of the studio: pictures that are dropped, pasted and moved, what is being written, and what was before.
const composer = () => document.querySelector("#composer");
const changed = (element) => element?.dispatchEvent(new Event("change", { bubbles: true }));

// --- pictures brought along: sent at once, so that a reload or another device has them -------------
const later = new Map(); // field id → files that came while others were on their way
const give = (field, files) => {
  const input = field?.querySelector("input[type=file]");
  const pictures = [...files].filter((file) => file.type.startsWith("image/"));
  if (!input || !pictures.length) return false;
  if (field.matches(".htmx-request")) {
    later.set(field.id, [...(later.get(field.id) ?? []), ...pictures]);
    return true;
  }
  const held = new DataTransfer();
  for (const file of input.multiple ? pictures : pictures.slice(-1)) held.items.add(file);
  input.files = held.files;
  changed(input);
  return true;
};
document.addEventListener("htmx:afterSettle", () => {
  for (const [id, files] of later) {
    const field = document.getElementById(id);
    if (field?.matches(".htmx-request")) continue;
    later.delete(id);
    give(field, files);
  }
});
const fieldUnder = (event) => event.target.closest?.("[data-drop]") ?? event.target.closest?.("#composer")?.querySelector("[data-drop]");
addEventListener("dragover", (event) => {
  const field = fieldUnder(event);
  if (moving || !field || !event.dataTransfer.types.includes("Files")) return;
  event.preventDefault();
  field.classList.add("is-over");
});
for (const name of ["dragleave", "drop"]) {
  addEventListener(name, (event) => {
    fieldUnder(event)?.classList.remove("is-over");
    if (name === "drop" && !moving && give(fieldUnder(event), event.dataTransfer.files)) event.preventDefault();
  });
}
addEventListener("paste", (event) => {
  const field = composer()?.querySelector("[data-drop]");
  if (event.clipboardData?.files.length && give(field, event.clipboardData.files)) event.preventDefault();
});

// --- the same picture may be ticked twice, in the strip and in the gallery's panel -----------------
addEventListener("change", ({ target }) => {
  const field = target.matches?.(".ref__pick input") && target.closest("[data-drop]");
  if (!field) return;
  const boxes = [...field.querySelectorAll(".ref__pick input")];
  for (const box of boxes) if (box.value === target.value) box.checked = target.checked;
  const shown = field.querySelector("[data-count]");
  if (shown) shown.textContent = new Set(boxes.filter((box) => box.checked).map((box) => box.value)).size || shown.dataset.saidNone;
});

// --- the order of pictures: by dragging, and by Shift with an arrow --------------------------------
let moving = null; // the picture that is being dragged
addEventListener("dragstart", (event) => {
  moving = event.target.closest?.(".ref[draggable]") ?? null;
  if (!moving) return;
  event.dataTransfer.effectAllowed = "move";
  event.dataTransfer.setData("text/plain", "");
  moving.classList.add("is-moving");
});
addEventListener("dragover", (event) => {
  const over = moving && event.target.closest?.(".ref[draggable]");
  if (!over || over.parentElement !== moving.parentElement) return;
  event.preventDefault();
  const { left, width } = over.getBoundingClientRect();
  if (over !== moving) over[event.clientX > left + width / 2 ? "after" : "before"](moving);
});
addEventListener("dragend", () => {
  moving?.classList.remove("is-moving");
  changed(moving?.querySelector("input"));
  moving = null;
});
addEventListener("keydown", (event) => {
  const item = event.target.closest?.(".ref[draggable]");
  if (!item || !event.shiftKey || !["ArrowLeft", "ArrowRight"].includes(event.key)) return;
  event.preventDefault();
  const left = event.key === "ArrowLeft";
  const neighbour = left ? item.previousElementSibling : item.nextElementSibling;
  if (!neighbour?.matches("[draggable]")) return;
  neighbour[left ? "before" : "after"](item);
  event.target.focus();
  changed(event.target);
});

// --- what is being written is kept, also when the page is left before it was --------------------------
const KEEPERS = ["/draft", "/generate", "/draft/clear"];
let [changes, kept, sent] = [0, 0, 0]; // so many there were, are kept, and are on their way to be
for (const name of ["input", "change"]) {
  addEventListener(name, ({ target }) => target.form === composer() && target.type !== "file" && changes++);
}
document.addEventListener("htmx:beforeRequest", ({ detail }) => {
  if (KEEPERS.includes(detail.pathInfo.requestPath)) sent = changes;
});
document.addEventListener("htmx:afterRequest", ({ detail }) => {
  if (detail.successful && KEEPERS.includes(detail.pathInfo.requestPath)) kept = sent;
});
addEventListener("pagehide", () => {
  if (!changes || !composer()) return;
  const written = new URLSearchParams([...new FormData(composer())].filter(([, value]) => typeof value === "string"));
  if (kept !== changes) navigator.sendBeacon("/draft", written);
  // A reload may overtake it, and what was kept while the new page was on its way.
  sessionStorage.setItem(`words for ${written.get("model")}`, JSON.stringify([Date.now(), written.get("prompt")]));
});
const OVERTAKEN_WITHIN = 10_000; // milliseconds: afterwards the draft has come, or whoever sits here is somebody else
const BRING_WORDS = ["prompt", "reuse", "words"]; // what an address says comes before what was being written
const overtaken = `words for ${composer()?.elements.model.value}`;
const [left, words] = JSON.parse(sessionStorage.getItem(overtaken) ?? "[0]");
const prompt = document.querySelector("#prompt");
sessionStorage.removeItem(overtaken);
if (prompt && Date.now() - left < OVERTAKEN_WITHIN && !BRING_WORDS.some((name) => new URLSearchParams(location.search).has(name))) {
  prompt.value = words;
}

// --- prompts of the past, in the page ------------------------------------------------------------------
const history = () => document.querySelector("#history");
const isPlain = (event) => !(event.ctrlKey || event.metaKey || event.shiftKey || event.altKey);
addEventListener("click", (event) => {
  const opener = event.target.closest?.("[data-popover]");
  const past = event.target.closest?.("#history [data-words]");
  if (!(opener || past) || !history() || !isPlain(event)) return;
  event.preventDefault();
  if (opener) {
    history().showPopover();
    htmx.ajax("GET", opener.href, { target: "#history", swap: "innerHTML" }).then(() => history().querySelector("[type=search]")?.focus());
    return;
  }
  const prompt = document.querySelector("#prompt");
  prompt.value = past.querySelector(".past__words").textContent;
  history().hidePopover();
  prompt.focus();
  prompt.dispatchEvent(new Event("input", { bubbles: true }));
  changed(prompt);
});
addEventListener("keydown", (event) => {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step || !event.target.closest?.("#history")) return;
  const stops = [...history().querySelectorAll("[type=search], [data-words]")];
  const next = stops[stops.indexOf(event.target) + step];
  if (next) { event.preventDefault(); next.focus(); }
});
