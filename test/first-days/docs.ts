import { blocksOf, pages } from '../support/pages.ts'

/** What a reader of the docs copies. */
export interface Recipe {
  /** The files, by the names in the comments of their first lines. */
  files: Map<string, string>
  /** The lines for a shell, without comments. */
  commands: string[]
}

/** `// main.js`, `# sluice.yaml`, `<!-- index.html -->`: a comment that is a file's name. */
const NAME = /^(?:\/\/|#|<!--) ([\w./-]+\.\w+)(?: -->)?\n/

function readRecipe(markdown: string): Recipe {
  const recipe: Recipe = { files: new Map(), commands: [] }
  for (const { language, text } of blocksOf(markdown)) {
    const [line = '', name] = NAME.exec(text) ?? []
    if (name) recipe.files.set(name, text.slice(line.length))
    else if (language === 'sh') recipe.commands.push(...text.split('\n').map((each) => each.replace(/ +# .*/, '')))
  }
  return recipe
}

/** The recipe below a heading of any page. */
export function findRecipe(heading: string): Recipe {
  for (const { text: page } of pages) {
    const [title, ...sections] = page.split(/^## /m)
    const section = sections.find((text) => text.startsWith(`${heading}\n`))
    if (title && section) return readRecipe(section)
  }
  throw new Error(`No page has the heading ${heading}.`)
}

/** The file of this name on any page. */
export function findFile(name: string): string {
  for (const { text: page } of pages) {
    const text = readRecipe(page).files.get(name)
    if (text) return text
  }
  throw new Error(`No page has a file ${name}.`)
}
