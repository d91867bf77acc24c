/** What a mock is told to do; see `providers/mock/mock.ts` for what each one means. */
export type Knobs = Record<string, number | string | true>

const NUMBERS = [
  'tokens',
  'interval_ms',
  'seed',
  'first_token_ms',
  'reasoning_tokens',
  'stall_at',
  'stall_ms',
  'fail_at',
  'truncate_at',
] as const

/** The knobs of a form. Empty fields are left to the mock. */
export function readKnobs(form: FormData): Knobs {
  const knobs: Knobs = {}
  for (const name of NUMBERS) {
    const text = textOf(form, name)
    if (text !== '') knobs[name] = Number(text)
  }
  const text = textOf(form, 'text')
  if (text !== '') knobs.text = text
  const code = textOf(form, 'fail_code')
  if (code !== '' && knobs.fail_at !== undefined) knobs.fail_code = code
  if (form.has('tool_call')) knobs.tool_call = true
  return knobs
}

function textOf(form: FormData, name: string): string {
  const value = form.get(name)
  return typeof value === 'string' ? value.trim() : ''
}

const MARKDOWN = `## Reading a stream

A stream is an **append-only log**, and every reader is a *cursor* on it:

1. The gateway numbers each event.
2. The reader remembers the last \`id\`.
3. After a cut it asks for the rest:

\`\`\`js
const headers = { 'Last-Event-ID': lastId }
const response = await fetch(\`/v1/streams/\${id}\`, { headers })
\`\`\`

| event | meaning |
|---|---|
| \`delta\` | a piece of the answer |
| \`done\` | how it ended, exactly once |

> Nothing is lost, and nothing comes twice.`

/** What can be tried with one click: the fields that differ from an empty form. */
export const PRESETS: readonly { name: string; knobs: Readonly<Record<string, string>> }[] = [
  { name: 'A story', knobs: { tokens: '240' } },
  { name: 'Markdown', knobs: { text: MARKDOWN } },
  { name: 'Thinks first', knobs: { tokens: '160', reasoning_tokens: '60' } },
  { name: 'Calls a tool', knobs: { tokens: '30', tool_call: 'on' } },
  { name: 'Falls silent', knobs: { tokens: '120', stall_at: '50', stall_ms: '20000' } },
  { name: 'Fails', knobs: { tokens: '120', fail_at: '60', fail_code: 'upstream_disconnected' } },
  { name: 'Breaks off', knobs: { tokens: '120', truncate_at: '60' } },
]
