/** Where the last whole sentence ends; 0 when there is none. */
export function endOfSentences(text: string): number {
  const [sentences = ''] = /^.*[.!?…:](?=\s)/s.exec(text) ?? []
  return sentences.length
}
