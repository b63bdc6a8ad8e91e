import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';

interface Props {
  class: string;
  open: boolean;
  /** Remembers the reader's choice while the section is not in the document. */
  memory?: { opened?: boolean };
  title: ComponentChildren;
  children: () => ComponentChildren;
}

/** A foldable section. Its content is rendered when it opens. It follows a change of `open`, otherwise the reader. */
export function Fold({ memory, ...props }: Props) {
  const [open, setOpen] = useState(memory?.opened ?? props.open);
  const before = useRef(props.open);
  useEffect(() => {
    if (before.current === props.open) return;
    before.current = props.open;
    setOpen(props.open);
  }, [props.open]);
  const onToggle = (event: Event) => {
    const { open } = event.currentTarget as HTMLDetailsElement;
    setOpen(open);
    // A change of all sections is not a choice of the reader.
    if (memory) memory.opened = open === props.open ? undefined : open;
  };
  return (
    <details class={`fold ${props.class}`} open={open} onToggle={onToggle}>
      <summary data-row>{props.title}</summary>
      {open && <div class="fold-content">{props.children()}</div>}
    </details>
  );
}
