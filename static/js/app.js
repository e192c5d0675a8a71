// What a script can better on pages that work without one.
const root = document.documentElement;

// --- theme: at once, and remembered by the server -----------------------------------------------
addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.matches("[data-theme-form]") || !event.submitter) return;
  event.preventDefault();
  root.dataset.theme = event.submitter.value;
  fetch(form.action, { method: "POST", body: new FormData(form, event.submitter), redirect: "manual" });
});

// --- clocks: the server says how much has passed, the page goes on counting ---------------------
const seen = new WeakMap();
const clock = (seconds) => {
  const [minutes, rest] = [Math.floor(seconds / 60), String(Math.floor(seconds % 60)).padStart(2, "0")];
  return minutes < 60 ? `${minutes}:${rest}` : `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, "0")}:${rest}`;
};
const sinceSeen = (element) => {
  if (!seen.has(element)) seen.set(element, performance.now());
  return (performance.now() - seen.get(element)) / 1000;
};
const tick = () => {
  for (const element of document.querySelectorAll("[data-elapsed]")) {
    const elapsed = Number(element.dataset.elapsed) + sinceSeen(element);
    element.textContent = clock(elapsed);
    const arc = element.closest(".leader")?.querySelector("[data-usual]");
    // Time alone never claims to be done.
    arc?.setAttribute("stroke-dasharray", `${Math.min(elapsed / arc.dataset.usual, 0.97) * 100} 100`);
  }
  // A run that takes longer than expected asks whether to go on; the server has the words.
  for (const card of document.querySelectorAll("[data-slow-in]")) {
    if (sinceSeen(card) < Number(card.dataset.slowIn)) continue;
    card.removeAttribute("data-slow-in");
    card.dispatchEvent(new CustomEvent("poll"));
  }
};
tick();
setInterval(tick, 1000);

// --- a frame that has ended has moved money ------------------------------------------------------
const UNFINISHED = ["queued", "starting", "processing"];
const running = new Map(); // card id → how many of its runs may still cost something
const note = () => {
  let moved = false;
  for (const card of document.querySelectorAll(".card[data-state]")) {
    const left = Number(card.dataset.running ?? UNFINISHED.includes(card.dataset.state));
    moved ||= left < running.get(card.id);
    running.set(card.id, left);
  }
  if (moved) document.body.dispatchEvent(new CustomEvent("budgetChanged"));
};
note();
for (const name of ["htmx:afterSettle", "htmx:oobAfterSwap", "cardsChanged"]) document.addEventListener(name, note);

// --- a word in the corner, which leaves by itself and stays while it is looked at ------------------
const toasts = document.querySelector("#toasts");
const dismissLater = (toast) => setTimeout(() => (toast.matches(":hover, :focus-within") ? dismissLater(toast) : toast.remove()), 6000);
// The page brings the sentences, in its own language; what it has none for broke on our side.
const say = (code) => {
  const sentences = document.querySelector("#sentences").content;
  const sentence = sentences.querySelector(`[data-code="${code}"]`) ?? sentences.querySelector('[data-code="500"]');
  const toast = Object.assign(document.createElement("div"), { className: "toast" });
  toast.append(Object.assign(document.createElement("span"), { textContent: sentence.textContent }));
  toasts?.append(toast);
};
if (toasts) {
  for (const toast of toasts.children) dismissLater(toast);
  new MutationObserver((changes) => {
    for (const change of changes) for (const node of change.addedNodes) if (node.nodeType === 1) dismissLater(node);
  }).observe(toasts, { childList: true });
}

// A button may say once where it leads, for a page without scripts and with them.
document.addEventListener("htmx:configRequest", ({ detail }) => {
  if (detail.elt.getAttribute("hx-post") === "") detail.path = detail.elt.formAction;
});
document.addEventListener("htmx:afterRequest", ({ target, detail }) => detail.successful && target.closest?.(".toast")?.remove());

// --- buttons that only a script can serve --------------------------------------------------------
const copy = async (source) => {
  try {
    await navigator.clipboard.writeText(source.textContent);
    say("copied");
  } catch {
    // Without a secure address a page may not write there itself.
    getSelection().selectAllChildren(source);
    say("selected");
  }
};
addEventListener("click", ({ target }) => {
  const { action, copy: from } = target.closest("[data-action]")?.dataset ?? {};
  if (action === "keys") document.querySelector("#keys")?.showModal();
  if (action === "copy") copy(document.querySelector(from));
});

// --- menus close at a press elsewhere and at Escape ------------------------------------------------
const openMenus = () => document.querySelectorAll("details.menu[open]");
addEventListener("pointerdown", ({ target }) => {
  for (const menu of openMenus()) if (!menu.contains(target)) menu.open = false;
});
addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of openMenus()) {
    if (menu.contains(document.activeElement)) menu.querySelector("summary").focus();
    menu.open = false;
  }
});

// --- the focus stays where it was when a part of the page is replaced -------------------------------
let held = null; // what has the focus, and the part of the page it stands in
addEventListener("focusin", ({ target }) => {
  held = { element: target, id: target.id, name: target.getAttribute("aria-label"), home: target.closest(".card, #composer")?.id };
});
addEventListener("pointerdown", ({ target }) => {
  if (!held?.element.contains(target)) held = null;
});
const holdFocus = () => {
  if (!held || document.activeElement !== document.body) return;
  const home = held.home && document.getElementById(held.home);
  const again =
    (held.element.isConnected && held.element) ||
    (held.id && document.getElementById(held.id)) ||
    (held.name && home?.querySelector(`[aria-label="${CSS.escape(held.name)}"]`)) ||
    home?.querySelector(".actions :is(a, button), summary");
  again?.focus({ preventScroll: true });
};
for (const name of ["htmx:afterSettle", "htmx:afterRequest", "htmx:oobAfterSwap", "cardsChanged"]) {
  document.addEventListener(name, () => setTimeout(holdFocus));
}

// --- a panel whose contents have come: to its first field ---------------------------------------------
document.addEventListener("htmx:afterSettle", ({ target }) => {
  if (!target.matches?.("[popover]:popover-open") || target.contains(document.activeElement)) return;
  target.querySelector("input:not([type=hidden])")?.focus();
});

// --- one frame to the trash: on the sheet there is one button for all ---------------------------------
const putAside = (one) => {
  const frame = one?.matches(".frame") && one.querySelector("a.pic");
  const button = (frame ? document : one)?.querySelector("[data-trash]");
  if (frame && button) button.formAction = `${frame.href}trash`;
  button?.click();
};

// --- keyboard ------------------------------------------------------------------------------------
addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    const form = event.target.closest?.("form") ?? document.querySelector("#composer");
    const button = form?.querySelector("[type=submit]:not([disabled])");
    if (button) { event.preventDefault(); button.click(); }
    return;
  }
  if (event.target.matches?.("input:not([type=checkbox], [type=radio]), textarea, select") || event.ctrlKey || event.metaKey || event.altKey) return;
  if (document.querySelector("dialog[open]")) return;
  // On the sheet a key is for the frame that has the focus, on an asset's page for that asset.
  const one = event.target.closest?.(".frame") ?? document.querySelector(".asset");
  const follow = !event.shiftKey && { ArrowLeft: "[rel=prev]", ArrowRight: "[rel=next]" }[event.key];
  if (follow && !event.target.matches?.("input, video, .lineage")) document.querySelector(follow)?.click();
  const field = event.key === "/" && document.querySelector("#prompt, [type=search]");
  if (field) { event.preventDefault(); field.focus(); }
  if (event.key === "f") one?.querySelector("[name=favourite]")?.click();
  if (event.key === "Delete") putAside(one);
  if (event.key === "?") document.querySelector("#keys")?.showModal();
});

// --- what was pressed and got no answer that could be shown -----------------------------------------
for (const name of ["htmx:responseError", "htmx:sendError", "htmx:timeout"]) {
  document.addEventListener(name, ({ detail }) => {
    if (detail.requestConfig?.verb === "get" || detail.pathInfo?.requestPath === "/estimate") return;
    say(detail.xhr?.status ?? 0);
  });
}

// --- a form that came back: to its first error ------------------------------------------------------
document.addEventListener("htmx:afterSettle", (event) => {
  if (event.target.id === "composer" || event.detail.elt?.id === "composer") document.querySelector("#composer :is([aria-invalid], #composer-error, fieldset:has(.error) input)")?.focus();
});
