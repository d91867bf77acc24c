/** Installed only with the newest SDKs: what is used of it. */
declare module '@ai-sdk/openai' {
  import type { LanguageModel } from 'ai'

  export function createOpenAI(settings: { baseURL: string; apiKey: string }): {
    chat(model: string): LanguageModel
  }
}
