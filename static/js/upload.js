// Pictures dropped on the gallery, pasted or chosen: each sent by itself, with its progress and its own error.
const form = document.querySelector("[data-upload]");
const shelf = document.querySelector("#uploads");
const MOST_BYTES = 24 * 1024 * 1024;
const AT_ONCE = 2;
const waiting = [];
let [under, all, sent, refused] = [0, 0, 0, 0];

const sentence = (code) => {
  const known = shelf.querySelector("[data-sentences]").content;
  return (known.querySelector(`[data-code="${code}"]`) ?? known.querySelector('[data-code="500"]')).textContent;
};

const row = (file) => {
  const made = shelf.querySelector("template").content.firstElementChild.cloneNode(true);
  made.querySelector(".cut").textContent = file.name;
  made.querySelector("progress").setAttribute("aria-label", file.name);
  made.querySelector("button").addEventListener("click", () => leave(made));
  shelf.querySelector("ul").append(made);
  shelf.hidden = false;
  return made;
};

const leave = (made) => {
  made.remove();
  shelf.hidden = !shelf.querySelector("li");
};

const refuse = (made, why) => {
  refused += 1;
  made.querySelector("progress").remove();
  made.querySelector(".error span").textContent = why;
  for (const part of made.querySelectorAll(".error, button")) part.hidden = false;
};

const keep = (made, answer) => {
  sent += 1;
  const frames = document.querySelector("#frames[data-fresh]");
  if (frames) {
    frames.insertAdjacentHTML("afterbegin", answer.responseText);
    globalThis.htmx?.process(frames.firstElementChild);
    leave(made);
    return;
  }
  made.querySelector("progress").remove();
  const link = made.querySelector("a");
  link.href = answer.getResponseHeader("Location");
  link.hidden = false;
};

const tell = () => {
  const said = shelf.querySelector("#uploads-said");
  const words = [said.dataset.said, ...(refused ? [said.dataset.refused] : [])].join(" ");
  said.textContent = words.replace("{sent}", sent).replace("{all}", all).replace("{refused}", refused);
  if (under || waiting.length) return;
  // A gallery that was empty has no sheet to put them on yet.
  if (sent && !refused && !document.querySelector("#frames")) location.reload();
  [all, sent, refused] = [0, 0, 0];
};

const send = ({ file, made }) => {
  const body = new FormData(form);
  body.set("file", file, file.name);
  const request = new XMLHttpRequest();
  request.open("POST", form.action);
  request.setRequestHeader("HX-Request", "true");
  request.upload.addEventListener("progress", ({ loaded, total }) => {
    const bar = made.querySelector("progress");
    // All is sent: what remains is up to the studio, and nobody knows how long.
    if (loaded < total) bar.value = loaded / total;
    else bar.removeAttribute("value");
  });
  request.addEventListener("loadend", () => {
    under -= 1;
    const plain = (request.getResponseHeader("Content-Type") ?? "").startsWith("text/plain");
    if (request.status === 201) keep(made, request);
    else refuse(made, plain && request.responseText ? request.responseText : sentence(request.status));
    tell();
    next();
  });
  request.send(body);
};

const next = () => {
  while (under < AT_ONCE && waiting.length) {
    under += 1;
    send(waiting.shift());
  }
};

const take = (files) => {
  for (const file of files) {
    all += 1;
    const made = row(file);
    if (file.size > MOST_BYTES) refuse(made, sentence(413));
    else waiting.push({ file, made });
  }
  next();
  tell();
};

if (form) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    take(form.elements.file.files);
    form.reset();
    form.closest("details").open = false;
  });
  const carriesFiles = (event) => event.dataTransfer?.types.includes("Files");
  addEventListener("dragover", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    document.body.classList.add("is-dropping");
  });
  addEventListener("dragleave", ({ relatedTarget }) => {
    if (!relatedTarget) document.body.classList.remove("is-dropping");
  });
  addEventListener("drop", (event) => {
    document.body.classList.remove("is-dropping");
    if (!carriesFiles(event)) return;
    event.preventDefault();
    take(event.dataTransfer.files);
  });
  addEventListener("paste", (event) => {
    if (!event.clipboardData?.files.length) return;
    event.preventDefault();
    take(event.clipboardData.files);
  });
}
