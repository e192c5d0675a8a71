// A picture looked at closely: by wheel, pinch, double click, drag, keys and buttons. Those of one home move together.
const [MOST, STEP, CLOSE] = [8, 1.4, 2.5]; // times as large: at most, at a key or button, at a double click
const [TAP_MS, TAP_PX] = [320, 8];
const FIT = { scale: 1, x: 0, y: 0 };
const views = new WeakMap(); // home → how large, and how far its pictures are moved, in parts of their boxes
const fingers = new Map(); // pointer → where it is, in pixels
let hold = null; // { home, picture, moved }: the picture that the fingers are on
let tapped = null; // { at, x, y, home }: the last tap, which another makes a double one

const homeOf = (element) => element?.closest?.("[data-zoom-home]");
const viewOf = (home) => views.get(home) ?? FIT;
const within = (value, least, most) => Math.min(most, Math.max(least, value));

const show = (home, { scale, x, y }) => {
  const view = scale <= 1 ? FIT : { scale, x: within(x, 1 - scale, 0), y: within(y, 1 - scale, 0) };
  views.set(home, view);
  home.classList.toggle("is-close", view.scale > 1);
  for (const picture of home.querySelectorAll("[data-zoom]")) {
    const image = picture.querySelector("img");
    if (!image) continue;
    image.style.transform = view.scale > 1 ? `translate(${view.x * 100}%, ${view.y * 100}%) scale(${view.scale})` : "";
    // Of its files the browser takes one that is sharp at this size.
    if (view.scale > 1 && image.srcset) image.sizes = `${Math.ceil(picture.clientWidth * view.scale)}px`;
  }
  const said = home.querySelector("[data-zoom-said]");
  if (said) said.textContent = `${Math.round(view.scale * 100)} %`;
};
// What lies under the point stays there; the middle, where none is given.
const zoomTo = (home, scale, { x, y } = { x: 0.5, y: 0.5 }) => {
  const before = viewOf(home);
  const after = within(scale, 1, MOST);
  const growth = after / before.scale;
  show(home, { scale: after, x: x - (x - before.x) * growth, y: y - (y - before.y) * growth });
};
const moveBy = (home, x, y) => {
  const view = viewOf(home);
  show(home, { ...view, x: view.x + x, y: view.y + y });
};
const partOf = (picture, { x, y }) => {
  const box = picture.getBoundingClientRect();
  return { x: (x - box.left) / box.width, y: (y - box.top) / box.height };
};

// --- wheel and trackpad: the page scrolls wherever it can, unless the picture is close already ------------
addEventListener("wheel", (event) => {
  const picture = event.target.closest?.("[data-zoom]");
  if (!picture) return;
  const [home, nearer] = [homeOf(picture), event.deltaY < 0];
  const close = viewOf(home).scale > 1;
  if (!event.ctrlKey && !close && (!nearer || scrollY > 0)) return;
  event.preventDefault();
  const step = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? event.deltaY * 16 : event.deltaY;
  const point = partOf(picture, { x: event.clientX, y: event.clientY });
  zoomTo(home, viewOf(home).scale * Math.exp(within(-step, -120, 120) / (event.ctrlKey ? 60 : 300)), point);
}, { passive: false });

// --- pointers: one drags, two pinch, two taps go close and back ----------------------------------------
const middle = () => {
  const at = [...fingers.values()];
  const [sumX, sumY] = [at.reduce((sum, { x }) => sum + x, 0), at.reduce((sum, { y }) => sum + y, 0)];
  const apart = at.length > 1 ? Math.hypot(at[0].x - at[1].x, at[0].y - at[1].y) : 0;
  return { x: sumX / at.length, y: sumY / at.length, apart };
};
addEventListener("pointerdown", (event) => {
  const picture = event.target.closest?.("[data-zoom]");
  if (!picture || event.button || fingers.size > 1) return;
  if (hold && hold.picture !== picture) fingers.clear();
  fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
  hold = { home: homeOf(picture), picture, moved: fingers.size > 1 ? Infinity : 0 };
});
addEventListener("pointermove", (event) => {
  if (!hold || !fingers.has(event.pointerId)) return;
  const before = middle();
  fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
  const after = middle();
  hold.moved += Math.hypot(after.x - before.x, after.y - before.y);
  const { home, picture } = hold;
  if (before.apart) zoomTo(home, viewOf(home).scale * (after.apart / before.apart), partOf(picture, before));
  if (viewOf(home).scale === 1 || hold.moved < TAP_PX) return;
  home.classList.add("is-held");
  picture.setPointerCapture(event.pointerId);
  moveBy(home, (after.x - before.x) / picture.clientWidth, (after.y - before.y) / picture.clientHeight);
});
const tap = ({ clientX: x, clientY: y, timeStamp: at }) => {
  const { home, picture } = hold;
  const isSecond = tapped?.home === home && at - tapped.at < TAP_MS && Math.hypot(x - tapped.x, y - tapped.y) < TAP_PX * 3;
  tapped = isSecond ? null : { at, x, y, home };
  if (isSecond) zoomTo(home, viewOf(home).scale > 1 ? 1 : CLOSE, partOf(picture, { x, y }));
};
for (const name of ["pointerup", "pointercancel"]) {
  addEventListener(name, (event) => {
    if (!fingers.delete(event.pointerId) || fingers.size) return;
    if (name === "pointerup" && hold.moved < TAP_PX) tap(event);
    hold.home.classList.remove("is-held");
    hold = null;
  });
}
// The browser would carry the picture away.
addEventListener("dragstart", (event) => event.target.closest?.("[data-zoom]") && event.preventDefault());

// --- keys and buttons, also for who can neither drag nor pinch -----------------------------------------------
const ACTS = {
  in: (home) => zoomTo(home, viewOf(home).scale * STEP),
  out: (home) => zoomTo(home, viewOf(home).scale / STEP),
  fit: (home) => show(home, FIT),
  left: (home) => moveBy(home, 0.25, 0),
  right: (home) => moveBy(home, -0.25, 0),
  up: (home) => moveBy(home, 0, 0.25),
  down: (home) => moveBy(home, 0, -0.25),
};
const KEYS = { "+": "in", "=": "in", "-": "out", "0": "fit" };
const SHIFTED = { ArrowLeft: "left", ArrowRight: "right", ArrowUp: "up", ArrowDown: "down" };
addEventListener("click", ({ target }) => {
  const { zoomAct } = target.closest?.("[data-zoom-act]")?.dataset ?? {};
  if (zoomAct) ACTS[zoomAct](homeOf(target));
});
addEventListener("keydown", (event) => {
  const home = document.querySelector("[data-zoom-home]:has([data-zoom])");
  const act = (event.shiftKey && SHIFTED[event.key]) || KEYS[event.key];
  if (!home || !act || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.matches?.("input, textarea, select") || document.querySelector("dialog[open]")) return;
  event.preventDefault();
  ACTS[act](home);
});
