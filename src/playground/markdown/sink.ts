/** An element that Markdown asks for. */
export type MarkdownElement =
  | { name: 'p' | 'strong' | 'em' | 's' | 'code' | 'blockquote' | 'ul' | 'li' | 'table' | 'tr' | 'th' | 'td' | 'hr' }
  | { name: 'ol'; start: number }
  | { name: 'heading'; level: number }
  | { name: 'fence'; language: string }
  | { name: 'a'; href: string }

/** Where parsed Markdown goes, in order: nothing that was sent is ever changed or sent again. */
export interface MarkdownSink {
  open(element: MarkdownElement): void
  text(text: string): void
  close(): void
  /** Closes an element that should not have been opened: `marker` stands before it, as text. */
  closeAsText(marker: string): void
}
