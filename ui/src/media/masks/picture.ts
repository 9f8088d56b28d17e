import { refusal } from '../../api/client'

/** One picture of a point, from an address of the API. Raises as `fetched` does. */
export async function fetchPicture(url: string, signal: AbortSignal): Promise<Blob> {
  const response = await fetch(url, { credentials: 'same-origin', signal })
  if (!response.ok) throw await refusal(response)
  return response.blob()
}
