"use strict";
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const search = document.getElementById("search");
const picker = document.getElementById("tag");
const count = document.getElementById("count");
const items = all("article.card, table.rows tbody tr").map((element) => ({
  element,
  tags: element.dataset.tags,
  text: element.dataset.text.toLowerCase() + " " + element.textContent.toLowerCase(),
}));

/* The filter offers exactly what occurs, with how many entries carry it. */
const tally = new Map();
for (const { tags } of items)
  for (const tag of new Set(tags.split("|").filter(Boolean))) tally.set(tag, (tally.get(tag) || 0) + 1);
for (const [tag, number] of [...tally].sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0])))
  picker.add(new Option(`${tag.replaceAll("_", " ")} (${number})`, tag));

function apply() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  const tag = picker.value;
  let shown = 0;
  for (const { element, tags, text } of items) {
    const fits = (!tag || tags.includes(`|${tag}|`)) && words.every((word) => text.includes(word));
    element.hidden = !fits;
    shown += fits;
  }
  for (const section of all("main > section"))
    section.hidden = items.some((i) => section.contains(i.element)) && !all("article, tbody tr", section).some((e) => !e.hidden);
  for (const button of all("[data-pick]")) button.setAttribute("aria-pressed", String(button.dataset.pick === tag && tag !== ""));
  count.textContent = shown === items.length ? `${shown} entries` : `${shown} of ${items.length}`;
  document.getElementById("nothing").hidden = shown > 0 || items.length === 0;
}
search.addEventListener("input", apply);
picker.addEventListener("change", apply);
for (const button of all("[data-pick]"))
  button.addEventListener("click", () => {
    picker.value = picker.value === button.dataset.pick ? "" : button.dataset.pick;
    apply();
  });

const masks = document.getElementById("masks");
masks.addEventListener("change", () => document.body.classList.toggle("bare", !masks.checked));

/* Pointing at an object, a sentence or a frame lights up everything of it within its card. */
function light(card, name, value) {
  for (const element of all(`[data-${name}]`, card)) element.classList.toggle("lit", element.dataset[name] === value);
  card.classList.toggle(`by-${name}`, value !== undefined);
}
for (const card of all("article.card")) {
  const head = card.querySelector(".head");
  card.addEventListener("pointerover", (event) => {
    const at = event.target;
    light(card, "id", at.closest("[data-id]")?.dataset.id);
    light(card, "sample", at.closest("[data-sample]")?.dataset.sample);
    const time = at.closest("[data-x]")?.dataset.x;
    head.classList.toggle("lit", time !== undefined);
    if (time !== undefined)
      for (const end of ["x1", "x2"]) head.setAttribute(end, `${(time / card.dataset.duration) * 100}%`);
  });
  card.addEventListener("pointerleave", () => {
    light(card, "id");
    light(card, "sample");
    head.classList.remove("lit");
  });
}

const large = document.getElementById("large");
for (const button of all("button.zoom"))
  button.addEventListener("click", () => {
    const figure = large.querySelector("figure");
    const caption = document.createElement("figcaption");
    caption.textContent = button.closest("article").querySelector("h3").textContent + ", " + button.nextElementSibling.textContent;
    const frame = document.createElement("div");
    frame.append(...[...button.children].map((child) => child.cloneNode(true)));
    figure.replaceChildren(frame, caption);
    large.showModal();
  });
large.addEventListener("click", (event) => event.target === large && large.close());
apply();
