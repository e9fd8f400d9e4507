"""Finish the rendered site, or check it. Standard library only: Quarto runs it after rendering, with any Python.

    python .ci/site.py [FOLDER]          links under each title, tidy signatures, the API in the search
    python .ci/site.py --check [FOLDER]  dead links and anchors, images without alt, ids given twice, names that the
                                         search does not find, entries without a docstring

FOLDER is where the pages are: by default what Quarto says, or _docs. Finishing twice changes nothing more."""
import ast, configparser, html, json, os, re, sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

root = Path(__file__).resolve().parent.parent
ini = configparser.ConfigParser(delimiters=['='])
ini.read(root/'settings.ini', encoding='utf-8')
cfg = ini['DEFAULT']
site_url,base = cfg['doc_host'] + cfg['doc_baseurl'] + '/', cfg['doc_baseurl'] + '/'
site,repo,branch,nbs = cfg['title'], cfg['git_url'] + '/', cfg['branch'], cfg['nbs_path'] + '/'

# --- What is on a page

class Page(HTMLParser):
    "Ids, links, images without alt, and API entries of a page: an entry is a heading that comes after a link `source`"
    def __init__(self, text):
        super().__init__()
        self.ids,self.links,self.no_alt,self.entries,self.title = [],[],[],[],''
        self.tag,self.section,self.is_source,self.entry,self.heading,self.skip = '',None,False,None,False,0
        self.feed(text); self.close()

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag in ('script', 'style'): self.skip += 1
        if attrs.get('id') and tag not in ('link', 'style', 'script'): self.ids.append(attrs['id'])
        if tag == 'section' and attrs.get('id'): self.section = attrs['id']
        if tag == 'a' and attrs.get('href') is not None: self.links.append(attrs['href'])
        if tag == 'a' and attrs.get('name'): self.ids.append(attrs['name'])
        if tag == 'img' and 'alt' not in attrs: self.no_alt.append(attrs.get('src', '')[:80])
        if re.match(r'h[2-6]$', tag): self.start_heading(attrs)
        if tag in ('hr', 'section', 'details') or 'cell' in (attrs.get('class') or '').split(): self.entry = None
        if self.entry is not None and tag in ('p', 'div', 'li', 'td'): self.entry['text'] += ' '
        self.tag = tag

    def start_heading(self, attrs):
        self.heading,self.entry = True,None
        if not self.is_source: return
        self.entry = dict(id=attrs.get('data-anchor-id') or attrs.get('id') or self.section, name='', text='')
        self.entries.append(self.entry)
        self.is_source = False

    def handle_endtag(self, tag):
        if tag in ('script', 'style'): self.skip -= 1
        if re.match(r'h[1-6]$', tag): self.heading = False

    def handle_data(self, data):
        if self.skip: return
        if self.tag == 'title' and not self.title:
            self.title = data.strip().removesuffix(site).rstrip(' \xa0–-') or site
        if data.strip() == 'source' and self.tag == 'a' and self.links[-1].startswith(repo): self.is_source = True
        elif self.entry is not None: self.entry['name' if self.heading else 'text'] += data

def tidy_text(text):
    "Text of an entry on one line, and not too much of it"
    return re.sub(r'\s+', ' ', text).strip()[:400]

def pages_in(folder):
    "All pages, by their path from the top of the site"
    return {o.relative_to(folder).as_posix(): o for o in sorted(folder.rglob('*.html'))}

# --- Links under the title

def page_of(path):
    "The page that nbdev and Quarto make of a notebook or a .qmd file: `02_learner.ipynb` gives `learner.html`"
    path = Path(path)
    name = re.sub(r'^\d+[a-zA-Z0-9]*_', '', path.name.lower()) if path.suffix == '.ipynb' else path.name
    return path.with_name(name).with_suffix('.html').as_posix()

def reading_order():
    "All that the sidebar names, in its order"
    text = (root/nbs/'sidebar.yml').read_text(encoding='utf-8')
    return re.findall(r'(?:- |href: )([\w./-]+\.(?:ipynb|qmd))\s*$', text, re.M)

def read(path): return Page(path.read_text(encoding='utf-8'))

def lesson_links(nb, following, depth):
    "A line of links: where else `nb` can be read, and what comes next: a pair of its page and its title"
    there = f"{repo.removeprefix('https://github.com/')}blob/{branch}/{nbs}{nb}"
    links = [f'<a href="https://colab.research.google.com/github/{there}">Open in Colab</a>',
             f'<a href="https://github.com/{there}">On GitHub</a>']
    if following: links.append(f'Next: <a href="{"../"*depth}{following[0]}">{following[1]}</a>')
    first = f"In Colab, first run <code>%pip install 'optimloop[course] @ git+{repo.rstrip('/')}'</code>"
    return f'<div class="lesson-links"><p>{" · ".join(links)}</p><p>{first}</p></div>'

def add_links(text, line):
    "`text`, a page, with `line` after the block of its title; an older such line is replaced"
    text = re.sub(r'\n<div class="lesson-links">.*?</div>', '', text, flags=re.S)
    after = r'<header id="title-block-header".*?</header>'
    return re.sub(after, lambda m: m[0] + '\n' + line, text, count=1, flags=re.S)

# --- Entries

def index():
    "What nbdev knows of the package's names: for each page a dictionary from name to anchor and source file"
    tree,res = ast.parse((root/cfg['lib_path']/'_modidx.py').read_text(encoding='utf-8')),{}
    for module,names in ast.literal_eval(tree.body[0].value)['syms'].items():
        for name,(where,file) in names.items():
            page,_,anchor = where.partition('#')
            res.setdefault(page, {})[name.removeprefix(module + '.')] = (anchor, file)
    return res

def name_entries(text, names):
    """`text`, a page, with the whole name of methods that show_doc calls by their last name alone, and a link to their
    source: it looks behind `@contextmanager`, where the class is not known"""
    for name,(anchor,file) in names.items():
        short = name.rpartition('.')[2]
        heading = rf'<h([2-6])[^>]*>{short}</h\1>'
        if short == name or f'"{anchor}"' in text or short in names or not re.search(heading, text): continue
        link = f'<p><a href="{repo}blob/{branch}/{file}" style="float:right; font-size:smaller">source</a></p>'
        text = re.sub(heading, lambda m: m[0].replace(f'>{short}<', f'>{name}<'), text)
        text = re.sub(rf'(?=<section id="{short}")', link + '\n', text, count=1)
        text = re.sub(rf'(?<=["#]){short}(?=")', anchor, text)
        text = re.sub(rf'(href="#{re.escape(anchor)}"[^>]*>){short}<', rf'\g<1>{name}<', text)
    return text

def mend_anchors(text, ids):
    "`text`, a page, with nbdev's links to names that have no entry led to that of their class, or else to the page"
    def _mend(m):
        page,anchor = m[1],m[2]
        if page not in ids or anchor in ids[page]: return m[0]
        top = anchor.partition('.')[0]
        return f'href="{site_url}{page}' + f'#{top}'*(top in ids[page]) + '"'
    return re.sub(rf'href="{re.escape(site_url)}([^"#?]+)#([^"]+)"', _mend, text)

def tidy_signature(code):
    "The signature of an entry without addresses in memory, link markup, and arguments that a class does not have"
    code = re.sub(r"<(?:built-in function|function|class)\s+'?([\w.<>]+?)'?(?: at 0x[0-9a-f]+)?>", r'\1', code)
    code = re.sub(r' at 0x[0-9a-f]+', '', code)
    code = re.sub(r'\[`?([^\]`]*)`?\]\(https?://[^)]*\)', r'\1', code)
    return re.sub(r'\Adef (_?[A-Z]\w*)\(\s*\*args, \*\*kwargs\s*\):\s*\Z', r'class \1():', code)

def as_html(code):
    "Code as Quarto writes it, with keyword and comments coloured"
    lines = html.escape(code, quote=False).split('\n')
    lines = [re.sub(r'(# .*)$', r'<span class="co">\1</span>', o) for o in lines]
    return re.sub(r'^(def|class)\b', r'<span class="kw">\1</span>', '\n'.join(lines))

def tidy_signatures(text):
    "`text`, a page, with the signatures of its entries made tidy"
    def _tidy(m):
        code = html.unescape(re.sub(r'<[^>]*>', '', m[2]))
        new = tidy_signature(code)
        return m[0] if new == code or not code.startswith('def ') else m[1] + as_html(new) + m[3]
    return re.sub(r'(<pre\b[^>]*\bpython\b[^>]*><code\b[^>]*>)(.*?)(</code>)', _tidy, text, flags=re.S)

# --- The search

def search_items(name, page, crumbs):
    "What the search needs to know of the entries of a page; `?api=` keeps each a result of its own"
    for o in page.entries:
        api = o['name'].strip()
        where = f'{name}?api={api}#{o["id"]}'
        item = dict(objectID=where, href=where, title=api, section='', text=f"{api} {tidy_text(o['text'])}")
        yield {**item, 'crumbs': [*crumbs, page.title]} if crumbs is not None else item

def add_to_search(folder, pages):
    "Put the API entries of all pages before what Quarto found: it knows of headings of the second level only"
    file = folder/'search.json'
    if not file.exists(): return
    items = [o for o in json.loads(file.read_text(encoding='utf-8')) if '?api=' not in o['href']]
    crumbs = {o['href'].split('#')[0]: o.get('crumbs') for o in items}
    found = [o for name,page in pages.items() for o in search_items(name, page, crumbs.get(name))]
    file.write_text(json.dumps(found + items, indent=2, ensure_ascii=False), encoding='utf-8')

def finish_page(name, text, names, source, following):
    "A page with whole names, tidy signatures, and if a notebook is its source the links under the title"
    text = tidy_signatures(name_entries(text, names))
    return add_links(text, lesson_links(source, following, name.count('/'))) if source else text

def finish(folder):
    "Write what the pages lack into them"
    order,paths,names = [o for o in reading_order() if (folder/page_of(o)).exists()],pages_in(folder),index()
    after = {page_of(a): (page_of(b), read(folder/page_of(b)).title) for a,b in zip(order, order[1:])}
    source = {page_of(o): o for o in order if o.endswith('.ipynb') and o != 'index.ipynb'}
    old = {name: path.read_text(encoding='utf-8') for name,path in paths.items()}
    new = {name: finish_page(name, o, names.get(name, {}), source.get(name), after.get(name)) for name,o in old.items()}
    ids = {name: set(Page(o).ids) for name,o in new.items()}
    new = {name: mend_anchors(o, ids) for name,o in new.items()}
    for name,o in new.items():
        if o != old[name]: paths[name].write_text(o, encoding='utf-8')
    add_to_search(folder, {name: Page(o) for name,o in new.items()})

# --- Checks

def target(link, page):
    "File and anchor that `link` on `page` leads to, seen from the top of the site; nothing if it leads elsewhere"
    for start in (site_url, base):
        if link.startswith(start): link,page = link[len(start):],'index.html'
    if re.match(r'[a-z][\w+.-]*:|//', link): return
    path,_,anchor = link.partition('#')
    path = unquote(path.partition('?')[0])
    if not path: return page, unquote(anchor)
    path = os.path.normpath((Path(page).parent/path).as_posix()).replace(os.sep, '/')
    return ('index.html' if path == '.' else path), unquote(anchor)

def bad_link(link, name, folder, pages):
    "What is wrong with a link, if anything"
    at_repo = re.match(re.escape(repo) + rf'(?:blob|edit|tree)/{re.escape(branch)}/([^#?]*)', link)
    if at_repo: return None if (root/unquote(at_repo[1])).exists() else f'not in the repository: {link}'
    if (to := target(link, name)) is None: return
    path,anchor = to
    if (folder/path/'index.html').is_file(): path = (Path(path)/'index.html').as_posix()
    if not (folder/path).is_file(): return f'dead link: {link}'
    if anchor and path in pages and anchor not in pages[path].ids and anchor != 'top': return f'dead anchor: {link}'

def page_faults(name, page, folder, pages):
    "What is wrong on a page"
    for o in sorted({i for i in page.ids if page.ids.count(i) > 1}): yield f'id given twice: {o}'
    for o in page.no_alt: yield f'image without alt: {o}'
    for o in dict.fromkeys(page.links):
        if fault := bad_link(o, name, folder, pages): yield fault
    for o in page.entries:
        if 'Call self as a function' in o['text']: yield f'entry without a docstring: {o["name"]}'

def search_faults(folder, pages):
    "Entries that the search does not find"
    file = folder/'search.json'
    if not file.exists(): return ['there is no search.json']
    known = {o['title'] for o in json.loads(file.read_text(encoding='utf-8')) if '?api=' in o['href']}
    entries = [(name, o['name'].strip()) for name,page in pages.items() for o in page.entries]
    return [f'{name}: not in the search: {o}' for name,o in entries if o not in known]

def check(folder):
    "All faults of the site, a line each"
    pages = {name: read(path) for name,path in pages_in(folder).items()}
    if not pages: return [f'no pages in {folder}']
    faults = [f'{name}: {o}' for name,page in pages.items() for o in page_faults(name, page, folder, pages)]
    return faults + search_faults(folder, pages)

def main(args):
    default = os.environ.get('QUARTO_PROJECT_OUTPUT_DIR') or root/cfg['doc_path']
    folder = Path(next((o for o in args if o != '--check'), default))
    if '--check' not in args: return finish(folder)
    faults = check(folder)
    print('\n'.join(faults) or f'{len(pages_in(folder))} pages, nothing found')
    return int(bool(faults))

if __name__ == '__main__': sys.exit(main(sys.argv[1:]))
