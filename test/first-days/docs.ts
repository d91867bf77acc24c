import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { ROOT } from '../support/process.ts'

/** What a reader of the docs copies. */
export interface Recipe {
  /** The files, by the names in the comments of their first lines. */
  files: Map<string, string>
  /** The lines for a shell, without comments. */
  commands: string[]
}

const FENCE = /^```(\w+)\n([\s\S]*?)^```$/gm

/** `// main.js`, `# sluice.yaml`, `<!-- index.html -->`: a comment that is a file's name. */
const NAME = /^(?:\/\/|#|<!--) ([\w./-]+\.\w+)(?: -->)?\n/

function readRecipe(markdown: string): Recipe {
  const recipe: Recipe = { files: new Map(), commands: [] }
  for (const [, language = '', text = ''] of markdown.matchAll(FENCE)) {
    const [line = '', name] = NAME.exec(text) ?? []
    if (name) recipe.files.set(name, text.slice(line.length))
    else if (language === 'sh') recipe.commands.push(...text.split('\n').map((each) => each.replace(/ +# .*/, '')))
  }
  return recipe
}

/** Every page, since recipes move from one to another. */
async function readPages(): Promise<string[]> {
  const folders = ['.', 'docs', 'client'].map(async (folder) => {
    const names = (await readdir(join(ROOT, folder))).filter((name) => name.endsWith('.md'))
    return Promise.all(names.map((name) => readFile(join(ROOT, folder, name), 'utf8')))
  })
  return (await Promise.all(folders)).flat()
}

/** The recipe below a heading of any page. */
export async function findRecipe(heading: string): Promise<Recipe> {
  for (const page of await readPages()) {
    const [title, ...sections] = page.split(/^## /m)
    const section = sections.find((text) => text.startsWith(`${heading}\n`))
    if (title && section) return readRecipe(section)
  }
  throw new Error(`No page has the heading ${heading}.`)
}

/** The file of this name on any page. */
export async function findFile(name: string): Promise<string> {
  for (const page of await readPages()) {
    const text = readRecipe(page).files.get(name)
    if (text) return text
  }
  throw new Error(`No page has a file ${name}.`)
}
