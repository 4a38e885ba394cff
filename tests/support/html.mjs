// Pages as a browser reads them: parsed by the HTML standard's own algorithm, forms submitted by its rules.

import assert from "node:assert/strict";
import { parse } from "parse5";

/** What is inside of a node, or of it the elements of one name; in the order of the page. */
function elements(node, name, found = []) {
  for (const child of node.childNodes ?? []) {
    if (!name || child.tagName === name) found.push(child);
    elements(child, name, found);
  }
  return found;
}

const attribute = (element, name) => element.attrs?.find((attr) => attr.name === name)?.value;
const has = (element, name) => attribute(element, name) !== undefined;

function textOf(node) {
  if (node.nodeName === "#text") return node.value;
  if (["script", "style", "template"].includes(node.nodeName)) return "";
  return (node.childNodes ?? []).map(textOf).join("");
}

export class Page {
  #document;

  constructor(html, url) {
    this.html = html;
    this.url = url;
  }

  /** Parsed when it is read first: of many a page only its status counts. */
  get document() {
    return (this.#document ??= parse(this.html));
  }

  /** What is read on it, white space collapsed. */
  get text() {
    return textOf(this.document).replaceAll(/\s+/g, " ").trim();
  }

  get title() {
    return textOf(elements(this.document, "title")[0] ?? { childNodes: [] }).trim();
  }

  /** All but the switch of languages, which every page that can be asked for again has: see `languages`. */
  get forms() {
    return this.#everyForm().filter((form) => form.action.pathname !== "/language");
  }

  /** The switch of languages, if there is one. */
  get languages() {
    return this.#everyForm().find((form) => form.action.pathname === "/language");
  }

  #everyForm() {
    return elements(this.document, "form").map((form) => new Form(form, this));
  }

  /** The values of an attribute, over all elements that have it. */
  all(name) {
    return elements(this.document).map((element) => attribute(element, name)).filter((value) => value !== undefined);
  }

  elementNames() {
    return new Set(elements(this.document).map((element) => element.tagName).filter(Boolean));
  }

  /** The one form whose action, without the origin, is (or matches) this. */
  form(action) {
    const fits = (form) => (action instanceof RegExp ? action.test(form.action.pathname) : form.action.pathname === action);
    const forms = this.forms.filter(fits);
    assert.equal(forms.length, 1, `${forms.length} forms to ${action} on ${this.url}: ${this.text.slice(0, 300)}`);
    return forms[0];
  }
}

/** A form that can only do what the page lets it: unknown fields can't be filled, absent boxes can't be ticked. */
export class Form {
  #button;

  constructor(element, page) {
    this.page = page;
    this.method = (attribute(element, "method") ?? "get").toUpperCase();
    this.action = new URL(attribute(element, "action") ?? "", page.url);
    /** Where a form with a passkey learns what to ask for. */
    this.options = attribute(element, "data-options");
    const isField = (field) => ["input", "select", "textarea", "button"].includes(field.tagName);
    const id = attribute(element, "id");
    const owned = id ? elements(page.document).filter((field) => attribute(field, "form") === id) : [];
    const fields = [...elements(element), ...owned].filter(isField);
    this.fields = fields.map(readField).filter((field) => !field.disabled);
  }

  get names() {
    return [...new Set(this.fields.map((field) => field.name).filter(Boolean))];
  }

  value(name) {
    return this.#only(name, (field) => field.type !== "submit").value;
  }

  values(name) {
    return this.fields.filter((field) => field.name === name).map((field) => field.value);
  }

  isTicked(name, value = "on") {
    return this.#box(name, value).checked;
  }

  fill(values) {
    for (const [name, value] of Object.entries(values)) {
      this.#open(name);
      const boxes = this.fields.filter((field) => field.name === name && field.type === "radio");
      if (boxes.length > 0) {
        assert.ok(
          boxes.some((box) => box.value === value),
          `${name} can't be ${value}`,
        );
        boxes.forEach((box) => (box.checked = box.value === value));
        continue;
      }
      const field = this.#only(name, ({ type }) => !["submit", "checkbox", "hidden"].includes(type));
      if (field.options) assert.ok(field.options.includes(value), `${name} can't be ${value}: ${field.options}`);
      field.value = value;
    }
    return this;
  }

  tick(name, value) {
    this.#open(name);
    this.#box(name, value).checked = true;
    return this;
  }

  /** Limits of one's own are put away until they are chosen: whoever fills one in has chosen them first. */
  #open(name) {
    const own = ["budget_usd", "budget_period", "no_budget", "expires_in"].includes(name);
    if (own) this.fields.filter((field) => field.name === "plan").forEach((field) => (field.checked = field.value === "custom"));
  }

  untick(name, value) {
    this.#open(name);
    this.#box(name, value).checked = false;
    return this;
  }

  /** Chooses the button that submits. */
  press(name, value) {
    this.#button = this.#only(name, (field) => field.type === "submit" && field.value === value);
    return this;
  }

  /** The entry list (HTML § 4.10.21.4). */
  data() {
    const data = new URLSearchParams();
    for (const field of this.fields) {
      const sent = ["checkbox", "radio"].includes(field.type) ? field.checked : field.type !== "submit" || field === this.#button;
      if (sent && field.name) data.append(field.name, field.value);
    }
    return data;
  }

  #box(name, value = "on") {
    return this.#only(name, (field) => field.type === "checkbox" && field.value === value);
  }

  #only(name, condition) {
    const found = this.fields.filter((field) => field.name === name && condition(field));
    assert.equal(found.length, 1, `${found.length} fields ${name} in the form; it has ${this.names}`);
    return found[0];
  }
}

function readField(element) {
  const field = { name: attribute(element, "name"), value: attribute(element, "value"), disabled: has(element, "disabled") };
  switch (element.tagName) {
    case "textarea":
      return { ...field, type: "textarea", value: textOf(element).replace(/^\n/, "") };
    case "select": {
      const options = elements(element, "option");
      const valueOf = (option) => attribute(option, "value") ?? textOf(option).trim();
      const chosen = options.find((option) => has(option, "selected")) ?? options[0];
      return { ...field, type: "select", value: chosen && valueOf(chosen), options: options.map(valueOf) };
    }
    case "button":
      return { ...field, type: (attribute(element, "type") ?? "submit").toLowerCase(), value: field.value ?? "" };
    default: {
      const type = (attribute(element, "type") ?? "text").toLowerCase();
      const isBox = ["checkbox", "radio"].includes(type);
      return { ...field, type, value: field.value ?? (isBox ? "on" : ""), checked: has(element, "checked") };
    }
  }
}
