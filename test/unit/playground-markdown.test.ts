import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MarkdownParser } from '../../src/playground/markdown/markdown-parser.ts'
import type { MarkdownElement, MarkdownSink } from '../../src/playground/markdown/sink.ts'

type Node = string | { element: MarkdownElement | { name: 'root' }; plain?: true; nodes: Node[] }

/** A tree of what came; every call adds to it, as it does to a page. */
class Tree implements MarkdownSink {
  readonly root = { element: { name: 'root' as const }, nodes: [] as Node[] }
  readonly #open: Exclude<Node, string>[] = [this.root]
  calls = 0

  open(element: MarkdownElement): void {
    this.calls += 1
    const node = { element, nodes: [] }
    this.#current.nodes.push(node)
    this.#open.push(node)
  }

  text(text: string): void {
    this.calls += 1
    const { nodes } = this.#current
    if (typeof nodes.at(-1) === 'string') nodes.push((nodes.pop() as string) + text)
    else nodes.push(text)
  }

  close(): void {
    if (this.#open.length === 1) throw new Error('More was closed than opened.')
    this.#open.pop()
  }

  closeAsText(marker: string): void {
    const node = this.#current
    this.close()
    const { nodes } = this.#current
    expect(nodes.pop()).toBe(node)
    this.text(marker)
    nodes.push({ ...node, plain: true })
  }

  get #current(): Exclude<Node, string> {
    return this.#open.at(-1)!
  }

  get depth(): number {
    return this.#open.length - 1
  }
}

function parse(...pieces: string[]): Tree {
  const tree = new Tree()
  const parser = new MarkdownParser(tree)
  for (const piece of pieces) parser.write(piece)
  parser.end()
  return tree
}

function html(node: Node): string {
  if (typeof node === 'string') return node
  const inner = node.nodes.map(html).join('')
  const { name, ...attributes } = node.element
  if (name === 'root' || node.plain) return inner
  const values = Object.values(attributes).filter((value) => value !== '')
  return `<${[name, ...values].join(' ')}>${inner}</${name}>`
}

const show = (text: string) => html(parse(text).root)

function textOf(node: Node): string {
  return typeof node === 'string' ? node : node.nodes.map(textOf).join('')
}

describe('Markdown as it streams', () => {
  it.each([
    ['one\ntwo\n\nthree', '<p>one\ntwo</p><p>three</p>'],
    ['# A\n## B\ntext', '<heading 1>A</heading><heading 2>B</heading><p>text</p>'],
    ['a **b *c* d** _e_ ~~f~~', '<p>a <strong>b <em>c</em> d</strong> <em>e</em> <s>f</s></p>'],
    ['***x***', '<p><strong><em>x</em></strong></p>'],
    ['`a *b*` and ``c`d``', '<p><code>a *b*</code> and <code>c`d</code></p>'],
    ['[a](http://b.c) ![d](https://e.f/g.png)', '<p><a http://b.c>a</a> <a https://e.f/g.png>d</a></p>'],
    ['[`a` **b**](http://c "t")', '<p><a http://c><code>a</code> <strong>b</strong></a></p>'],
    ['[w](https://w.org/a_(b))', '<p><a https://w.org/a_(b)>w</a></p>'],
    [
      'See https://a.b/c_d_e. And <https://f.g>',
      '<p>See <a https://a.b/c_d_e>https://a.b/c_d_e</a>. And <a https://f.g>https://f.g</a></p>',
    ],
    ['- a\n- b\n  - c\n- d', '<ul><li><p>a</p></li><li><p>b</p><ul><li><p>c</p></li></ul></li><li><p>d</p></li></ul>'],
    ['1. a\n   - b\n2. c', '<ol 1><li><p>a</p><ul><li><p>b</p></li></ul></li><li><p>c</p></li></ol>'],
    ['1. a\n\n   ```js\n   x\n   ```\n\n2. b', '<ol 1><li><p>a</p><fence js>x</fence></li><li><p>b</p></li></ol>'],
    ['3. a\n\nb', '<ol 3><li><p>a</p></li></ol><p>b</p>'],
    ['> a\n> b\n\nc', '<blockquote><p>a\nb</p></blockquote><p>c</p>'],
    ['```js\nif (a) {\n\n  b\n}\n```\nc', '<fence js>if (a) {\n\n  b\n}</fence><p>c</p>'],
    ['````\n```\n````', '<fence>```</fence>'],
    ['~~~\na\n~~~', '<fence>a</fence>'],
    ['```\nopen *a*', '<fence>open *a*</fence>'],
    ['a\n\n---\n\nb', '<p>a</p><hr></hr><p>b</p>'],
    [
      '| a | b |\n|---|:-:|\n| `1` | x \\| y |\n\nc',
      '<table><tr><th>a</th><th>b</th></tr><tr><td><code>1</code></td><td>x | y</td></tr></table><p>c</p>',
    ],
  ])('is %j → %s', (text, expected) => {
    expect(show(text)).toBe(expected)
  })

  it.each([
    'snake_case_name and a*b*c, 2 * 3 * 4, 2*3*4',
    'arr[0] and [1], [x] y, a[b](c',
    'a **b and `c',
    '<b onclick="x">a</b> & &amp; a < b',
    'C:\\path\\new',
    'cost $5, f(x) = x^2',
    '| no | table |\nat all',
    '#no heading, 10.5',
    'In the year\n2024. Well',
    '[a](javascript:alert(1)) [b](data:text/html,x) [c](/d)',
    'https:// and http',
  ])('leaves as it is what is not Markdown: %j', (text) => {
    const { root } = parse(text)
    expect(textOf(root)).toBe(text)
    expect(html(root)).toBe(`<p>${text}</p>`)
  })

  const pieces = [
    ...'*_`~\\[]()!<>|#+-\n\n\n \t'.split(''),
    ...'**,```,~~~,](,  ,    ,\n\n,- ,1. ,2) ,# ,> ,|-|,---,a,word,é😀,h'.split(','),
    ...'http://x.y,<https://z>,[a](http://b),\n```js\n,\n| a | b |\n|---|---|\n'.split(','),
  ]
  const markdown = fc.array(fc.constantFrom(...pieces), { maxLength: 40 }).map((parts) => parts.join(''))

  it('is the same however it was cut into pieces', () => {
    fc.assert(
      fc.property(markdown, fc.infiniteStream(fc.integer({ min: 1, max: 9 })), (text, lengths) => {
        const cut: string[] = []
        const characters = Array.from(text)
        for (const length of lengths) {
          if (characters.length === 0) break
          cut.push(characters.splice(0, length).join(''))
        }
        expect(parse(...cut).root).toEqual(parse(text).root)
      }),
      { numRuns: 2000 },
    )
  })

  it('loses no word, and closes what it opens', () => {
    const glue = fc.constantFrom(...pieces.filter((piece) => !/[a-z]/.test(piece)))
    fc.assert(
      fc.property(fc.array(glue, { maxLength: 40 }), (parts) => {
        const words = parts.map((_, index) => `w${index}z`)
        const text = parts.map((part, index) => words[index] + part).join('')
        const tree = parse(text)
        expect(tree.depth).toBe(0)
        // The language of a fence and the address of a link are shown elsewhere than in the text.
        const shown = JSON.stringify(tree.root)
        for (const word of words) expect(shown).toContain(word)
      }),
      { numRuns: 2000 },
    )
  })

  it('shows a token at once, but for the few that the next ones decide', () => {
    const tree = new Tree()
    const parser = new MarkdownParser(tree)
    parser.write('A word')
    expect(textOf(tree.root)).toBe('A word')
    parser.write(', **bold')
    expect(html(tree.root)).toBe('<p>A word, <strong>bold</strong></p>')
    parser.write('** and [a')
    expect(textOf(tree.root)).toBe('A word, bold and ')
    parser.write('] b')
    expect(textOf(tree.root)).toBe('A word, bold and [a] b')
  })

  it.each(['*', '_', '`', '[', '![', '[a](', '> ', '- ', '|', '#', '<', 'http://', '1', '\\', '~~', '```', '(', '"'])(
    'holds back a bounded length of an endless %j, so that its cost grows with the text alone',
    (unit) => {
      const tree = new Tree()
      const parser = new MarkdownParser(tree)
      const text = unit.repeat(6000)
      for (let at = 0; at < text.length; at += 5) parser.write(text.slice(at, at + 5))
      const shown = JSON.stringify(tree.root).length
      parser.end()
      expect(tree.calls).toBeLessThan(2 * text.length)
      expect(JSON.stringify(tree.root).length - shown).toBeLessThan(5000 + unit.length * 4000)
    },
  )
})
