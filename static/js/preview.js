// What moves plays its first seconds, without sound, while it is pointed at or has the focus. The mouse moved over it,
// or a finger drawn across it, goes through them.
const still = matchMedia("(prefers-reduced-motion: reduce)");
const [LEAST_PX, REST_MS] = [8, 600]; // a move is meant from so far on, and over when it has rested for so long
let playing = null; // { picture, film, line, part }: what plays, and the part of it that was moved to
let began = null; // { picture, x }: where a finger or the mouse came to a picture
let resting = 0;

const stop = () => {
  playing?.film.remove();
  playing?.line.remove();
  playing = null;
};
const open = (picture) => {
  const image = picture?.querySelector("img[data-preview]");
  if (playing?.picture === picture) return playing;
  stop();
  if (!image || navigator.connection?.saveData) return null;
  const film = Object.assign(document.createElement("video"), { src: image.dataset.preview, muted: true, loop: true, playsInline: true });
  film.className = "preview";
  film.setAttribute("aria-hidden", "true");
  const line = Object.assign(document.createElement("span"), { className: "scrub" });
  // Until it can be seen the still picture stays; what cannot be played was never there.
  for (const name of ["playing", "seeked"]) film.addEventListener(name, () => film.classList.add("is-playing"));
  film.addEventListener("loadedmetadata", () => playing?.film === film && goTo(playing.part));
  film.addEventListener("error", () => playing?.film === film && stop());
  image.after(film, line);
  playing = { picture, film, line, part: null };
  return playing;
};
const goTo = (part) => {
  if (part === null) return;
  playing.part = part;
  playing.line.style.scale = `${part} 1`;
  playing.film.pause();
  // The very end would be shown as the beginning.
  if (playing.film.duration) playing.film.currentTime = part * (playing.film.duration - 0.05);
};
const play = (picture) => {
  if (!still.matches && playing?.picture !== picture) open(picture)?.film.play().catch(() => {});
};
const goOn = () => {
  if (!playing || still.matches) return;
  playing.line.style.scale = "0 1";
  playing.film.play().catch(() => {});
};

addEventListener("pointerover", ({ target, pointerType, clientX }) => {
  const picture = target.closest(".pic");
  if (pointerType !== "mouse" || (picture && began?.picture === picture)) return;
  began = picture && { picture, x: clientX };
  if (picture) play(picture);
  else stop();
});
addEventListener("pointerdown", ({ target, pointerType, clientX }) => {
  const picture = pointerType !== "mouse" && target.closest(".pic");
  if (picture) began = { picture, x: clientX };
});
addEventListener("pointermove", ({ clientX: x }) => {
  if (!began || Math.abs(x - began.x) < LEAST_PX || !open(began.picture)) return;
  began.x = Infinity; // from now on each move counts
  const { left, width } = began.picture.getBoundingClientRect();
  goTo(Math.min(1, Math.max(0, (x - left) / width)));
  clearTimeout(resting);
  resting = setTimeout(goOn, REST_MS);
});
for (const name of ["pointerup", "pointercancel"]) {
  addEventListener(name, ({ pointerType }) => {
    if (pointerType === "mouse" || !began) return;
    began = null;
    clearTimeout(resting);
    stop();
  });
}
document.addEventListener("pointerleave", () => {
  began = null;
  stop();
});
addEventListener("focusin", ({ target }) => {
  if (target.matches(":focus-visible")) play(target.closest(".pic"));
});
addEventListener("focusout", ({ target }) => playing?.picture === target && stop());
still.addEventListener("change", stop);
