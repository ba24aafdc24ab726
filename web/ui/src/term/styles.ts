// xterm.js writes its styles into <style> elements and style attributes, which the portal's Content-Security-Policy refuses, as it should. The
// same rules as constructed style sheets and through the CSSOM are allowed: they can only come from script of our own.

// Instead of a <style>: an element without meaning, whose text goes into a sheet of the document.
function sheetElement(): HTMLElement {
  const sheet = new CSSStyleSheet();
  const element = document.createElement('template') as HTMLElement;
  Object.defineProperty(element, 'textContent', { set: (css: string) => sheet.replaceSync(css), get: () => '' });
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
  const remove = element.remove.bind(element);
  element.remove = () => {
    document.adoptedStyleSheets = document.adoptedStyleSheets.filter((other) => other !== sheet);
    remove();
  };
  return element;
}

let done = false;
export function adoptStyles() {
  if (done) return;
  done = true;
  const createElement = document.createElement.bind(document) as (name: string, options?: ElementCreationOptions) => HTMLElement;
  document.createElement = ((name: string, options?: ElementCreationOptions) =>
    name === 'style' ? sheetElement() : createElement(name, options)) as typeof document.createElement;
  const setAttribute = Element.prototype.setAttribute;
  Element.prototype.setAttribute = function (this: Element, name: string, value: string) {
    if (name === 'style' && this instanceof HTMLElement) this.style.cssText = value;
    else setAttribute.call(this, name, value);
  };
}
