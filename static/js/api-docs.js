// Swagger UI on our own document. The session of this page is what it tries with, so every call carries its CSRF token.
const place = document.getElementById("operations");
const token = JSON.parse(document.body.getAttribute("hx-headers"))["X-CSRFToken"];
const dark = matchMedia("(prefers-color-scheme: dark)");

function follow() {
  const theme = document.documentElement.dataset.theme;
  document.documentElement.classList.toggle("dark-mode", theme ? theme === "dark" : dark.matches);
}

follow();
dark.addEventListener("change", follow);
new MutationObserver(follow).observe(document.documentElement, { attributeFilter: ["data-theme"] });

window.SwaggerUIBundle({
  url: place.dataset.schema,
  domNode: place,
  deepLinking: true,
  displayRequestDuration: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  validatorUrl: null,
  requestInterceptor(request) {
    if (new URL(request.url, location).origin === location.origin) request.headers["X-CSRFToken"] = token;
    return request;
  },
});
