import type { IdRule } from './known-fields.ts'

/** What a server of Chat Completions does with fields that OpenAI's API does not define. */
export interface Server {
  /** Names under which it takes the reasoning of earlier answers back; undefined: the name that the answer had. */
  readonly reasoning?: readonly string[] | undefined
  /** It takes `reasoning_details` of all vendors; undefined: those of the model's vendor and its own. */
  readonly details?: boolean
  /** It takes `extra_content`, where Google signs its thoughts. */
  readonly signatures: boolean
  /** It takes the sampling parameters of other servers, such as `top_k`. */
  readonly sampling: boolean
  /** It has a switch `thinking: {type}`, or `reasoning_effort` for reasoning models alone, or for all. */
  readonly thinking: 'switch' | 'effort of reasoning models' | 'effort' | 'none'
  /** It is OpenAI's own API, with OpenAI's limits, and refuses fields that it does not define. */
  readonly openai?: boolean
  /** The ids of calls that it takes; undefined: any. */
  readonly callIds?: IdRule
  /** The thoughts of its answers are parts of their content. */
  readonly thinkingParts?: boolean
}

/** Takes what its clients send, and ignores what it does not know: vLLM, Ollama, llama.cpp, gateways … */
const OTHER: Server = { signatures: true, sampling: true, thinking: 'effort' }

/** These servers refuse fields that they do not know. */
const STRICT: Server = { reasoning: [], details: false, signatures: false, sampling: false, thinking: 'none' }

const SWITCH: Server = { ...STRICT, reasoning: ['reasoning_content'], sampling: true, thinking: 'switch' }

const SERVERS: readonly [host: RegExp, server: Server][] = [
  [
    /^([\w-]+\.)?api\.openai\.com$|\.openai\.azure\.com$|\.services\.ai\.azure\.com$|\.cognitiveservices\.azure\.com$/,
    { ...STRICT, thinking: 'effort of reasoning models', openai: true, callIds: 'up to 40 characters' },
  ],
  [
    /^generativelanguage\.googleapis\.com$|aiplatform\.googleapis\.com$/,
    { ...STRICT, signatures: true, thinking: 'effort' },
  ],
  [/^api\.(groq\.com|cerebras\.ai)$/, { ...STRICT, reasoning: ['reasoning'] }],
  [/^api\.mistral\.ai$/, { ...STRICT, callIds: '9 letters and digits', thinkingParts: true }],
  [/^openrouter\.ai$/, { ...OTHER, reasoning: ['reasoning'], details: true }],
  [/^api\.deepseek\.com$|^api\.moonshot\.(ai|cn)$|^api\.z\.ai$|^open\.bigmodel\.cn$/, SWITCH],
]

export function serverAt(baseUrl: string): Server {
  const { hostname } = new URL(baseUrl)
  return SERVERS.find(([host]) => host.test(hostname))?.[1] ?? OTHER
}

/** Formats of `reasoning_details` that one vendor alone can read, and how the names of its models begin. */
const FORMATS: readonly [format: RegExp, model: RegExp][] = [
  [/^anthropic-/, /(^|\/)(anthropic|claude)/i],
  [/^google-/, /(^|\/)(google|gemini)/i],
  [/^(openai|azure-openai)-/, /(^|\/)(openai|gpt|o\d)/i],
  [/^xai-/, /(^|\/)(x-ai|xai|grok)/i],
]

/** Whether a model can read reasoning in this format, as far as their names say. */
export function readsFormat(model: string, format: unknown): boolean {
  const vendor = typeof format === 'string' && FORMATS.find(([name]) => name.test(format))
  return !vendor || vendor[1].test(model)
}

/** OpenAI's models without reasoning; they refuse `reasoning_effort`. */
export function isWithoutReasoning(model: string): boolean {
  return /^(gpt-[34]|chatgpt|gpt-5[\w.]*-chat|davinci|babbage|ft:gpt-[34])/.test(model)
}

/** Whether a model has the effort `xhigh`, as OpenAI's have since GPT-5.2. */
export function knowsHighestEffort(model: string): boolean {
  return /(^|\/)gpt-(5\.([2-9]|\d\d)|[6-9]|\d\d)|codex-max/.test(model)
}
