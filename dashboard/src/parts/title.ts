import { useEffect } from 'preact/hooks';

/** Names the tab after what its page shows. */
export function useTitle(title: string): void {
  useEffect(() => {
    document.title = title ? `${title} · Claude Runner` : 'Claude Runner';
  }, [title]);
}
