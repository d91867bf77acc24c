import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from './process.ts'

/** A page of the documentation. */
export interface Page {
  /** From the root of the repository. */
  path: string
  text: string
}

export interface Block {
  language: string
  text: string
}

const FOLDERS = ['', 'docs', 'client', 'deploy', 'grafana', 'test/hostile']

/** All pages, also those for contributors. */
export const pages: readonly Page[] = FOLDERS.flatMap((folder) =>
  readdirSync(join(ROOT, folder))
    .filter((name) => name.endsWith('.md'))
    .map((name) => join(folder, name))
    .map((path) => ({ path, text: readFileSync(join(ROOT, path), 'utf8') })),
)

export function textOf(path: string): string {
  const page = pages.find((each) => each.path === path)
  if (!page) throw new Error(`There is no page ${path}.`)
  return page.text
}

/** The fenced blocks of a page, also those within lists. */
export function blocksOf(text: string): Block[] {
  return [...text.matchAll(/^( *)```(\w*)\n([\s\S]*?)^ *```$/gm)].map(([, indent = '', language = '', lines = '']) => ({
    language,
    text: lines.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
  }))
}

/** What stands below a heading, up to the next one of its level or above. */
export function sectionOf(text: string, heading: string): string {
  const lines = text.split('\n')
  const start = lines.findIndex((line) => line.replace(/^#+ /, '') === heading && line.startsWith('#'))
  if (start === -1) throw new Error(`There is no heading ${heading}.`)
  const level = lines[start]?.indexOf(' ') ?? 0
  let isBlock = false
  const length = lines.slice(start + 1).findIndex((line) => {
    if (/^ *```/.test(line)) isBlock = !isBlock
    return !isBlock && new RegExp(`^#{1,${level}} `).test(line)
  })
  return lines.slice(start + 1, length === -1 ? undefined : start + 1 + length).join('\n')
}

/** The rows of all tables in a text, as their cells, without the heads. */
export function rowsOf(text: string): string[][] {
  const lines = text.split('\n')
  return lines
    .filter((line, index) => line.startsWith('| ') && !lines[index + 1]?.startsWith('|---'))
    .map((line) => line.split(/(?<!\\)\|/).slice(1, -1))
    .map((cells) => cells.map((cell) => cell.trim()))
}

/** What stands in backticks. */
export function codeIn(text: string): string[] {
  return [...text.matchAll(/`([^`]+)`/g)].map(([, code = '']) => code)
}
