import type { ChatBody } from '../client/index.ts'

export type Language = 'curl' | 'client' | 'openai'

export interface CodeOptions {
  /** The gateway's URL, with a slash at its end. */
  gateway: string
  /** The key itself is never shown: code is copied to places where others read it. */
  hasKey: boolean
}

/** A program that makes this request, and prints the answer as it comes. */
export function requestCode(language: Language, body: ChatBody, options: CodeOptions): string {
  switch (language) {
    case 'curl':
      return curl(body, options)
    case 'client':
      return client(body, options)
    case 'openai':
      return openai(body, options)
  }
}

function curl(body: ChatBody, { gateway, hasKey }: CodeOptions): string {
  const lines = [
    `curl -N ${quote(`${gateway}v1/chat`)}`,
    ...(hasKey ? ['  -H "Authorization: Bearer $SLUICE_KEY"'] : []),
    "  -H 'Content-Type: application/json'",
    `  -d ${quote(format(body))}`,
  ]
  return lines.join(' \\\n')
}

function client(body: ChatBody, { gateway, hasKey }: CodeOptions): string {
  const headers = hasKey ? ', headers: { authorization: `Bearer ${process.env.SLUICE_KEY}` }' : ''
  return `import { createClient } from 'sluice/client'

const client = createClient({ baseUrl: '${gateway}'${headers} })
const stream = client.chat(${format(body)})
for await (const event of stream) if (event.type === 'delta') process.stdout.write(event.content ?? '')`
}

function openai(body: ChatBody, { gateway, hasKey }: CodeOptions): string {
  const key = hasKey ? 'process.env.SLUICE_KEY' : "'none'"
  return `import OpenAI from 'openai'

const client = new OpenAI({ baseURL: '${gateway}v1', apiKey: ${key} })
const stream = await client.chat.completions.create(${format({ model: 'mock', ...body, stream: true })})
for await (const { choices } of stream) process.stdout.write(choices[0]?.delta.content ?? '')`
}

function format(body: object): string {
  return JSON.stringify(body, null, 2)
}

/** For a POSIX shell. */
function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}
