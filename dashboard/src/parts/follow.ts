// Keeps a growing page at its end while the reader is there, or at the place that the address names until the reader scrolls.
import { type Signal, useSignal } from '@preact/signals';
import { useCallback, useEffect, useRef } from 'preact/hooks';

/** The distance from the end, in pixels, within which the reader counts as being there. */
const NEAR_PX = 32;
/** The distance from which the way back is offered. */
const AWAY_PX = 200;

export interface Follow {
  /** True while the end is out of sight. */
  away: Signal<boolean>;
  toEnd: () => void;
}

/** `place` finds the element that the address names. `ready` is true once the page has its content. */
export function useFollow(ready: boolean, isNamed: boolean, place: () => Element | null): Follow {
  const away = useSignal(false);
  const mode = useRef<'end' | 'place' | 'free'>(isNamed ? 'place' : 'end');
  const find = useRef(place);
  find.current = place;
  const distance = () => {
    const { scrollHeight, scrollTop, clientHeight } = document.scrollingElement!;
    return scrollHeight - scrollTop - clientHeight;
  };
  const keep = useCallback(() => {
    const scroller = document.scrollingElement!;
    if (mode.current === 'end') scroller.scrollTop = scroller.scrollHeight;
    else if (mode.current === 'place') find.current()?.scrollIntoView({ block: 'start' });
    away.value = distance() > AWAY_PX;
  }, []);
  useEffect(() => {
    if (!ready) return;
    const scroller = document.scrollingElement!;
    let top = scroller.scrollTop;
    const onScroll = () => {
      // A page that shrinks moves its reader up too, but to its end.
      if (mode.current !== 'place') mode.current = distance() < NEAR_PX ? 'end' : scroller.scrollTop < top - 2 ? 'free' : mode.current;
      top = scroller.scrollTop;
      away.value = distance() > AWAY_PX;
    };
    const onInput = (event: Event) => {
      if (mode.current === 'place') mode.current = 'free';
      // Whoever opens something reads it.
      if (event.type === 'click' && (event.target as Element).closest('.conversation summary, .conversation button')) mode.current = 'free';
    };
    const observer = new ResizeObserver(keep);
    observer.observe(document.body);
    const inputs = ['wheel', 'touchmove', 'keydown', 'click'];
    addEventListener('scroll', onScroll, { passive: true });
    for (const input of inputs) addEventListener(input, onInput, { passive: true, capture: true });
    return () => {
      observer.disconnect();
      removeEventListener('scroll', onScroll);
      for (const input of inputs) removeEventListener(input, onInput, { capture: true });
    };
  }, [ready]);
  const toEnd = useCallback(() => {
    mode.current = 'end';
    keep();
  }, []);
  return { away, toEnd };
}
