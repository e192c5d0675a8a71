// Keeps the cards of the page as they are on the server: by a socket, and by asking while there is none.
const feed = document.querySelector("#feed[ws-connect]");
const indicator = document.querySelector("#live");

const FINISHED = ["succeeded", "lost", "failed", "canceled", "aborted"];
const SIGNED_OUT = 4401;
const REFUSED = [4400, 4429]; // not understood, too many
const TICK = 30_000; // what was pushed may be lost: the page says twice a minute what it has seen
const ANSWER_WITHIN = 10_000;
const [FIRST_POLL, SLOWEST_POLL, SLOWER] = [2_000, 15_000, 1.5];

const cards = () => [...document.querySelectorAll(".card[data-event]")];
const numberOf = (card) => Number(card.id.replace("prediction-", ""));
const eventOf = (card) => Number(card.dataset.event);
const isStale = (incoming, shown) =>
  eventOf(incoming) < eventOf(shown) ||
  (eventOf(incoming) === eventOf(shown) && FINISHED.includes(incoming.dataset.state) && shown.dataset.state === incoming.dataset.state);
const parsed = (html) => {
  const template = document.createElement("template");
  template.innerHTML = html;
  return template.content;
};

// --- how the page is kept up to date, for the eye ------------------------------------------------
let socket = null; // the open one
let signedOut = false;
const show = () => {
  if (!indicator) return;
  const { saidLive, saidOut, saidPoll } = indicator.dataset;
  indicator.dataset.live = socket ? "live" : "poll";
  indicator.textContent = socket ? saidLive : signedOut ? saidOut : saidPoll;
  indicator.hidden = false;
};
const icon = document.querySelector("link[rel=icon]");
const asShipped = icon?.href;
const wasRunning = new Map(); // card id → how many of its runs were not finished
let unseen = 0; // finished while nobody looked
const told = () => {
  let running = 0;
  for (const card of cards()) {
    const left = Number(card.dataset.running ?? !FINISHED.includes(card.dataset.state));
    if (document.hidden) unseen += Math.max(0, (wasRunning.get(card.id) ?? left) - left);
    wasRunning.set(card.id, left);
    running += left;
  }
  if (!document.hidden) unseen = 0;
  const title = document.title.replace(/^(\(\d+\)|✓ \d+ ·) /, "");
  document.title = running ? `(${running}) ${title}` : unseen ? `✓ ${unseen} · ${title}` : title;
  const href = running ? icon?.dataset.busy : unseen ? icon?.dataset.done : asShipped;
  if (href && icon.getAttribute("href") !== href) icon.href = href;
};
// --- and for the ear: a card is replaced as a whole, which no screen reader reads out ----------------
const spoken = new Map(); // card id → its words when they were last looked at
const speaker = document.querySelector("#said");
let listening = false;
const speak = () => {
  const news = [];
  for (const card of cards()) {
    const [number, words] = [".edge__no", ".status__line strong"].map((part) => card.querySelector(part)?.textContent);
    const isNews = spoken.has(card.id) ? spoken.get(card.id) !== words : listening && !FINISHED.includes(card.dataset.state);
    spoken.set(card.id, words);
    if (isNews) news.push(`${number}: ${words}`);
  }
  listening = true;
  if (news.length) speaker.textContent = news.length > 3 ? speaker.dataset.saidMany.replace("{count}", news.length) : news.join(" ");
};
const settled = () => {
  for (const card of cards()) {
    if ((passedBy.get(card.id) ?? 0) <= eventOf(card)) continue;
    passedBy.delete(card.id);
    ask();
  }
  told();
  speak();
};

// --- the socket -----------------------------------------------------------------------------------
let wrapper = null;
let seen = 0;
let heard = 0;
const passedBy = new Map(); // card id → the newest event of a card that had no place yet
const delay = (tries) => Math.min(5_000, 500 * 2 ** tries) * (0.5 + Math.random() / 2);

const ask = () => {
  if (!socket) return;
  const [asked, asking] = [Date.now(), socket];
  seen = Math.max(seen, ...cards().map(eventOf));
  wrapper.sendImmediately(JSON.stringify({ since: seen }));
  setTimeout(() => {
    if (socket !== asking || heard >= asked) return;
    socket = null; // the line is dead and nobody has told us
    show();
    wrapper.reconnect();
  }, ANSWER_WITHIN);
};
const opened = (event) => {
  socket = event.detail.event.target;
  wrapper = event.detail.socketWrapper;
  show();
  ask();
};
const closed = (event) => {
  const { target, code } = event.detail.event;
  if (socket && target !== socket) return;
  socket = null;
  signedOut = code === SIGNED_OUT;
  show();
  // After these the extension connects again by itself.
  if (signedOut || [1006, 1011, 1012, 1013].includes(code)) return;
  setTimeout(() => event.detail.socketWrapper.reconnect(), REFUSED.includes(code) ? TICK : delay(1));
};

// --- frames: gathered, and shown as far as they fit between two pictures of the screen --------------
const BUDGET = 8; // milliseconds, so that many that change at once stop nobody from scrolling
const incoming = new Map(); // card id → the newest frame that waits
let scheduled = false;
const received = (event) => {
  heard = Date.now();
  const { message } = event.detail;
  event.preventDefault();
  if (message.startsWith("{")) {
    seen = Math.max(seen, JSON.parse(message).seen);
    return;
  }
  for (const card of parsed(message).querySelectorAll(".card[id]")) {
    const waiting = incoming.get(card.id);
    if (!waiting || eventOf(card) >= eventOf(waiting)) incoming.set(card.id, card);
  }
  schedule();
};
const schedule = () => {
  if (scheduled || !incoming.size) return;
  scheduled = true;
  // Nobody paints a page that nobody sees.
  document.hidden ? setTimeout(showIncoming) : requestAnimationFrame(showIncoming);
};
const showIncoming = () => {
  scheduled = false;
  const began = performance.now();
  for (const [id, card] of incoming) {
    incoming.delete(id);
    put(card);
    if (performance.now() - began > BUDGET) break;
  }
  document.dispatchEvent(new CustomEvent("cardsChanged"));
  schedule();
};
// Older ones are dropped; what was made elsewhere gets a place.
const put = (card) => {
  const shown = document.getElementById(card.id) ?? makePlace(card);
  if (!shown) return passedBy.set(card.id, eventOf(card));
  if (shown.dataset.event && isStale(card, shown)) return;
  card.removeAttribute("hx-swap-oob");
  keepOpen(shown, card);
  shown.replaceWith(card);
  htmx.process(card);
};
const keepOpen = (shown, card) => {
  const [before, after] = [shown, card].map((one) => one.querySelector("details"));
  if (before?.open && after) after.open = true;
};
// An empty card where this one belongs, to be replaced; null where the page does not show that part.
const makePlace = (card) => {
  const day = card.querySelector("time[datetime]")?.dateTime.slice(0, 10);
  const sheet = document.getElementById(`day-${day}`);
  if (!sheet) {
    // The answer to this page's own form may be bringing the new day.
    if (!new URLSearchParams(location.search).has("before")) setTimeout(bringDay, 1_000, card);
    return null;
  }
  const next = cards().find((other) => numberOf(other) < numberOf(card));
  if (!next && document.querySelector("#feed .older")) return null;
  const place = document.createElement("article");
  place.id = card.id;
  sheet.insertBefore(place, next?.parentElement === sheet ? next : null);
  return place;
};
const bringDay = (card) => {
  const newest = Math.max(0, ...cards().map(numberOf));
  if (document.querySelector(".htmx-request")) setTimeout(bringDay, 1_000, card);
  else if (!document.getElementById(card.id) && numberOf(card) > newest) {
    htmx.ajax("GET", "/", { target: "#feed", swap: "innerHTML", select: "#feed > *" });
  }
};
// What arrives out of band: from the socket, or with the answer to a form that the socket was faster than.
const beforeOutOfBand = (event) => {
  const { fragment, target } = event.detail;
  for (const day of fragment.querySelectorAll(".sheet[id]")) {
    if (document.getElementById(day.id)) day.closest(".day").remove();
  }
  for (const card of fragment.querySelectorAll(".card[data-event]")) {
    const shown = document.getElementById(card.id);
    if (!shown?.dataset.event) continue;
    if (isStale(card, shown)) shown === target ? (event.detail.shouldSwap = false) : card.remove();
    else if (shown !== target) shown.remove();
  }
};
// The answer to a poll or a button, which a newer frame may have overtaken.
const beforeSwap = (event) => {
  const { target, serverResponse } = event.detail;
  if (!target?.matches?.(".card[data-event]")) return;
  const card = parsed(serverResponse).querySelector(".card[data-event]");
  if (card?.id === target.id && eventOf(card) < eventOf(target)) event.detail.shouldSwap = false;
  if (target.querySelector("details[open]")) event.detail.serverResponse = serverResponse.replace("<details ", "<details open ");
};

// --- asking, while there is no socket ---------------------------------------------------------------
const polls = new Map(); // card id → when to ask again, how long to wait then, and the event last shown
const inView = (card) => {
  const { top, bottom } = card.getBoundingClientRect();
  return bottom > 0 && top < innerHeight;
};
const poll = () => {
  if (socket || signedOut) return polls.clear();
  for (const card of document.querySelectorAll(".card[hx-trigger~=poll]")) {
    let one = polls.get(card.id);
    if (one?.event !== card.dataset.event) {
      one = { event: card.dataset.event, at: Date.now() + FIRST_POLL, wait: FIRST_POLL };
      polls.set(card.id, one);
    }
    if (Date.now() < one.at || document.visibilityState !== "visible" || !inView(card)) continue;
    one.wait = Math.min(SLOWEST_POLL, one.wait * SLOWER);
    one.at = Date.now() + one.wait;
    card.dispatchEvent(new CustomEvent("poll"));
  }
};

if (feed) {
  htmx.config.wsReconnectDelay = delay;
  document.addEventListener("htmx:wsOpen", opened);
  document.addEventListener("htmx:wsClose", closed);
  document.addEventListener("htmx:wsBeforeMessage", received);
  document.addEventListener("htmx:oobBeforeSwap", beforeOutOfBand);
  document.addEventListener("htmx:beforeSwap", beforeSwap);
  for (const name of ["cardsChanged", "htmx:afterSettle", "htmx:oobAfterSwap"]) document.addEventListener(name, settled);
  document.addEventListener("visibilitychange", () => {
    told();
    if (document.visibilityState === "visible") ask();
  });
  setInterval(ask, TICK);
  setInterval(poll, 500);
  setTimeout(show, FIRST_POLL);
  settled();
}
