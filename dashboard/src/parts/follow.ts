// Keeps a growing page at its end while the reader is there, or at the place that the address names until the reader scrolls.
import { type Signal, useSignal } from '@preact/signals';
import type { RefObject } from 'preact';
import { useCallback, useEffect, useRef } from 'preact/hooks';

/** The distance from the end, in pixels, within which the reader counts as being there. */
const NEAR_PX = 32;
/** The distance from which the way back is offered. */
const AWAY_PX = 200;

export interface Follow {
  /** The last element of the page. */
  end: RefObject<HTMLDivElement | null>;
  /** True while the end is out of sight. */
  away: Signal<boolean>;
  toEnd: () => void;
}

/** `place` finds the element that the address names. `ready` is true once the page has its content. */
export function useFollow(ready: boolean, isNamed: boolean, place: () => Element | null): Follow {
  const end = useRef<HTMLDivElement>(null);
  const away = useSignal(false);
  const mode = useRef<'end' | 'place' | 'free'>(isNamed ? 'place' : 'end');
  const find = useRef(place);
  find.current = place;
  const keep = useCallback(() => {
    if (mode.current === 'end') document.scrollingElement!.scrollTop = Number.MAX_SAFE_INTEGER;
    else if (mode.current === 'place') find.current()?.scrollIntoView({ block: 'start' });
  }, []);
  useEffect(() => {
    if (!ready || !end.current) return;
    // Observers read the layout that the browser makes anyway; a scroll listener would force another one in each frame.
    const resized = new ResizeObserver(keep);
    resized.observe(document.body);
    // The page has been scrolled to its end when it grew, so an end that is out of reach means that the reader scrolled.
    const near = new IntersectionObserver(([entry]) => {
      if (entry && mode.current !== 'place') mode.current = entry.isIntersecting ? 'end' : 'free';
    }, { rootMargin: `0px 0px ${NEAR_PX}px 0px` });
    const far = new IntersectionObserver(([entry]) => {
      away.value = !entry?.isIntersecting;
    }, { rootMargin: `0px 0px ${AWAY_PX}px 0px` });
    for (const observer of [near, far]) observer.observe(end.current);
    const onInput = (event: Event) => {
      if (mode.current === 'place') mode.current = 'free';
      // Whoever opens something reads it.
      if (event.type === 'click' && (event.target as Element).closest('.conversation summary, .conversation button')) mode.current = 'free';
    };
    const inputs = ['wheel', 'touchmove', 'keydown', 'click'];
    for (const input of inputs) addEventListener(input, onInput, { passive: true, capture: true });
    return () => {
      for (const observer of [resized, near, far]) observer.disconnect();
      for (const input of inputs) removeEventListener(input, onInput, { capture: true });
    };
  }, [ready]);
  const toEnd = useCallback(() => {
    mode.current = 'end';
    keep();
  }, []);
  return { end, away, toEnd };
}
