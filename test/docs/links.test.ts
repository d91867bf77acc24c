import { existsSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { describe, expect, it } from 'vitest'
import { pages, textOf } from '../support/pages.ts'
import { ROOT } from '../support/process.ts'

const { repository }: { repository: { url: string } } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
const HOME = repository.url.replace(/^git\+/, '').replace(/\.git$/, '')

interface Link {
  target: string
  /** From the root of the repository, where it leads there. */
  path: string | undefined
  anchor: string | undefined
}

/** Without blocks and inline code, which may look like links. */
function prose(text: string): string {
  return text.replaceAll(/^ *```[\s\S]*?^ *```$/gm, '').replaceAll(/`[^`\n]*`/g, 'code')
}

function linksOf(page: string): Link[] {
  const targets = [...prose(textOf(page)).matchAll(/\]\(([^)\s]+)\)|(?:src|srcset|href)="([^"]+)"/g)]
  return targets.map(([, link, attribute]) => readLink(page, link ?? attribute ?? ''))
}

function readLink(page: string, target: string): Link {
  const [location = '', anchor] = target.split('#')
  // GitHub's form for what is no file of the repository.
  if (location.startsWith('../../security/')) return { target, path: undefined, anchor: undefined }
  const [, ours] = new RegExp(`^${HOME}/(?:blob|tree|raw)/main/(.*)$`).exec(location) ?? []
  if (ours !== undefined) return { target, path: ours, anchor }
  if (/^[a-z]+:/.test(location)) return { target, path: undefined, anchor: undefined }
  return { target, path: location === '' ? page : normalize(join(dirname(page), location)), anchor }
}

/** The anchors that GitHub gives to the headings of a page. */
function anchorsOf(path: string): Set<string> {
  const headings = readFileSync(join(ROOT, path), 'utf8')
    .replaceAll(/^ *```[\s\S]*?^ *```$/gm, '')
    .matchAll(/^#+ (.*)$/gm)
  const anchors = new Set<string>()
  for (const [, heading = ''] of headings) {
    const slug = heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\p{M} _-]/gu, '')
      .replaceAll(' ', '-')
    anchors.add(anchors.has(slug) ? `${slug}-1` : slug)
  }
  return anchors
}

describe.each(pages.map(({ path }) => path))('links of %s', (page) => {
  const links = linksOf(page).filter((link): link is Link & { path: string } => link.path !== undefined)

  it('lead to what is in the repository', () => {
    expect(links.filter(({ path }) => !existsSync(join(ROOT, path))).map(({ target }) => target)).toEqual([])
  })

  it('name headings that are there', () => {
    const missing = links.filter(
      ({ path, anchor }) =>
        anchor !== undefined && path.endsWith('.md') && existsSync(join(ROOT, path)) && !anchorsOf(path).has(anchor),
    )
    expect(missing.map(({ target }) => target)).toEqual([])
  })
})

describe('README.md', () => {
  const links = linksOf('README.md')

  it('can be read in a few minutes', () => {
    expect(textOf('README.md').split('\n').length).toBeLessThan(200)
  })

  it('begins with what starts the gateway, and what tests it', () => {
    const [, block = ''] = /```sh\n([^]*?)```/.exec(textOf('README.md')) ?? []
    const commands = block.split('\n').map((line) => line.replace(/ +#.*/, ''))
    expect(commands.slice(0, 2)).toEqual(['npm ci && npm start', 'npm ci && npm test'])
  })

  it('has links that work on the page of the package, too', () => {
    const isPicture = ({ path = '' }: Link) => path.endsWith('.png')
    const relative = links.filter((link) => !isPicture(link) && !/^[a-z]+:/.test(link.target))
    expect(relative.map(({ target }) => target)).toEqual([])
    for (const { target, path } of links.filter((link) => link.path !== undefined && !isPicture(link))) {
      const isFolder = statSync(join(ROOT, path ?? '')).isDirectory()
      expect(target).toContain(isFolder ? '/tree/main/' : '/blob/main/')
    }
  })

  it('leads to every page of docs', () => {
    const named = new Set(links.map(({ path }) => path))
    const unnamed = pages.filter(({ path }) => path.startsWith('docs/') && !named.has(path))
    expect(unnamed.map(({ path }) => path)).toEqual([])
  })
})
