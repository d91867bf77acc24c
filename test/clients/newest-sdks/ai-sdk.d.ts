/** Installed only with the newest SDKs: what is used of them. */
declare module '@ai-sdk/openai' {
  import type { LanguageModel } from 'ai'

  export function createOpenAI(settings: { baseURL: string; apiKey: string }): {
    (model: string): LanguageModel
    chat(model: string): LanguageModel
  }
}

declare module '@ai-sdk/open-responses' {
  import type { LanguageModel } from 'ai'

  export function createOpenResponses(settings: {
    name: string
    url: string
    apiKey: string
  }): (model: string) => LanguageModel
}
