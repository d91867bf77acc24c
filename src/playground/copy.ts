import { create } from './dom.ts'

const SHOWN_MS = 2000

/** Copies this text. Where pages may not, it selects the element that shows it, for the keyboard, and returns false. */
export async function copyText(text: string, shown: Element): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text)
    return true
  } catch {
    // Not allowed, or not a page of HTTPS, which has no clipboard.
    getSelection()?.selectAllChildren(shown)
    return false
  }
}

/** A button that copies what an element shows, or another text about it, and says so. */
export function copyButton(
  label: string,
  shown: () => Element,
  text = () => shown().textContent ?? '',
): HTMLButtonElement {
  const button = create('button', 'quiet copy', 'Copy')
  button.type = 'button'
  button.ariaLabel = label
  let timer: ReturnType<typeof setTimeout> | undefined
  const copy = async () => {
    const copied = await copyText(text(), shown())
    clearTimeout(timer)
    show(copied ? 'Copied' : 'Selected')
    timer = setTimeout(() => show('Copy'), SHOWN_MS)
  }
  button.addEventListener('click', () => void copy())
  const show = (word: string) => {
    button.textContent = word
    // Read aloud as the button has the focus.
    button.ariaLabel = word === 'Copy' ? label : word
  }
  return button
}
