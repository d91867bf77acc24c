/** The element of this page with this id. @throws Error when the page has none, or one of another kind */
export function find<T extends Element>(id: string, type: new () => T): T {
  const element = document.getElementById(id)
  if (element instanceof type) return element
  throw new Error(`The page has no ${type.name} #${id}`)
}

/** An element with a class and children; text goes in as text, never as markup. */
export function create<Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  className = '',
  ...children: (Node | string)[]
): HTMLElementTagNameMap[Name] {
  const element = document.createElement(name)
  if (className) element.className = className
  element.append(...children)
  return element
}

/** Attributes of an SVG element, which is drawn by them and by the style sheet. */
export function draw<Name extends keyof SVGElementTagNameMap>(
  name: Name,
  className: string,
  attributes: Readonly<Record<string, string | number>> = {},
): SVGElementTagNameMap[Name] {
  const element = document.createElementNS('http://www.w3.org/2000/svg', name)
  element.setAttribute('class', className)
  for (const [attribute, value] of Object.entries(attributes)) element.setAttribute(attribute, String(value))
  return element
}
