// What moves plays its first seconds, without sound, while it is pointed at or has the focus.
const still = matchMedia("(prefers-reduced-motion: reduce)");
let playing = null; // { picture, film }

const stop = () => {
  playing?.film.remove();
  playing = null;
};
const play = (picture) => {
  const image = picture?.querySelector("img[data-preview]");
  if (playing?.picture === picture) return;
  stop();
  if (!image || still.matches || navigator.connection?.saveData) return;
  const film = Object.assign(document.createElement("video"), { src: image.dataset.preview, muted: true, loop: true, playsInline: true });
  film.className = "preview";
  film.setAttribute("aria-hidden", "true");
  // Until it can be seen the still picture stays; what cannot be played was never there.
  film.addEventListener("playing", () => film.classList.add("is-playing"));
  film.addEventListener("error", () => playing?.film === film && stop());
  image.after(film);
  playing = { picture, film };
  film.play().catch(() => {});
};

addEventListener("pointerover", ({ target, pointerType }) => {
  if (pointerType === "mouse") play(target.closest(".pic"));
});
document.addEventListener("pointerleave", stop);
addEventListener("focusin", ({ target }) => {
  if (target.matches(":focus-visible")) play(target.closest(".pic"));
});
addEventListener("focusout", ({ target }) => playing?.picture === target && stop());
still.addEventListener("change", stop);
