import { getJson, type JsonRequest } from '../get-json.ts'
import { readModelNames } from '../model-list.ts'
import type { Vendor } from '../vendors.ts'

/** OpenAI lists these beside the models that chat; pickers would offer them. */
const NO_CHAT =
  /^(text-embedding|whisper|tts|dall-e|gpt-image|sora|babbage|davinci)|moderation|-(realtime|transcribe|tts)\b/

/** In an order by name: OpenAI's list has none. https://platform.openai.com/docs/api-reference/models/list */
export async function listModels(request: JsonRequest, vendor: Vendor | undefined): Promise<string[]> {
  const names = readModelNames(await getJson(request))
  if (vendor === 'openai') return sort(names.filter((name) => !NO_CHAT.test(name)))
  // Google takes its names with and without this prefix.
  return sort(vendor === 'google' ? names.map((name) => name.replace(/^models\//, '')) : names)
}

const byName = new Intl.Collator('en', { numeric: true })

function sort(names: readonly string[]): string[] {
  return names.toSorted((a, b) => byName.compare(a, b))
}
