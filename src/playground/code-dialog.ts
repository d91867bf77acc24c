import type { ChatBody } from '../client/index.ts'
import { copyButton } from './copy.ts'
import { find } from './dom.ts'
import { requestCode, type Language } from './request-code.ts'

export interface CodeDialogOptions {
  /** The request that would be sent now; undefined while its form is not valid. */
  body: () => ChatBody | undefined
  hasKey: () => boolean
}

/** Shows the page's request as a program, on demand. */
export function offerCode({ body, hasKey }: CodeDialogOptions): void {
  const dialog = find('code', HTMLDialogElement)
  const language = find('language', HTMLSelectElement)
  const text = find('code-text', HTMLElement)
  let shown: ChatBody | undefined
  const show = () => {
    const options = { gateway: new URL('.', location.href).href, hasKey: hasKey() }
    if (shown && isLanguage(language.value)) text.textContent = requestCode(language.value, shown, options)
  }
  find('show-code', HTMLButtonElement).addEventListener('click', () => {
    shown = body()
    show()
    if (shown) dialog.showModal()
  })
  find('close-code', HTMLButtonElement).addEventListener('click', () => dialog.close())
  language.addEventListener('change', show)
  find('code-actions', HTMLElement).prepend(copyButton('Copy the code', () => text))
}

function isLanguage(value: string): value is Language {
  return value === 'curl' || value === 'client' || value === 'openai'
}
