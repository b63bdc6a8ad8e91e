"""Follows every link of a site that mdBook built, and fails if one leads nowhere.

Usage: site_links.py SITE

A link leads to a page or file of the site, and its fragment to an id on that page. Links to other sites are not followed.
"""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.ids = set()
        self.links = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        if values.get("id"):
            self.ids.add(values["id"])
        for name in ("href", "src"):
            if values.get(name):
                self.links.append(values[name])


def main(site):
    # print.html has every page once more, and toc.html is a frame of each.
    left_out = {"print.html", "toc.html", "404.html"}
    paths = [path for path in sorted(site.rglob("*.html")) if path.name not in left_out]
    pages = {path: Page(path.read_text()) for path in paths}
    broken, followed = [], 0
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            followed += 1
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if target.is_dir() and (target / "index.html").exists():
                target = target / "index.html"
            if target in pages:
                if parts.fragment and unquote(parts.fragment) not in pages[target].ids:
                    broken.append(f"{path.relative_to(site)}: {link}: no such heading")
            elif not (target.is_relative_to(site) and target.is_file()):
                broken.append(f"{path.relative_to(site)}: {link}: no such file")
    if len(pages) < 30 or followed < 1000:
        broken.append(f"only {len(pages)} pages and {followed} links were found")
    for line in broken:
        print(line, file=sys.stderr)
    print(f"{len(pages)} pages, {followed} links, {len(broken)} broken", file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))
