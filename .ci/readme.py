"""Write what is made from other files: README.md and its figures from nbs/index.ipynb (what `nbdev_readme` does,
without Quarto), the site's changelog and contributing pages from the files of that name, nbs/sidebar.yml from the
folders. With `--check`, write nothing, and exit with 1 if any of them is not what its source gives."""
import base64, configparser, json, re, sys
from pathlib import Path
import nbformat
from nbconvert import MarkdownExporter

root = Path(__file__).resolve().parent.parent
warning = '<!-- Written by .ci/readme.py from nbs/index.ipynb: edit that notebook, not this file. -->'
ini = configparser.ConfigParser(delimiters=['='])
ini.read(root/'settings.ini', encoding='utf-8')
blob = '{git_url}/blob/{branch}/'.format(**ini['DEFAULT'])

pages = {'CHANGELOG.md': 'What changed from version to version, and which module became which',
         'CONTRIBUTING.md': 'How to change it: where to add what, and how it is written'}

def directives(cell):
    "The `#|` lines at the top of a cell, as a dict; they are removed from its source"
    head = re.match(r'(\s*#\s*\|.*(\n|$))*\s*', cell.source).group()
    cell.source = cell.source[len(head):]
    return {k: v.strip('"\'') for k, v in re.findall(r'#\s*\|\s*([\w-]+)\s*:?[ \t]*(.*?)\s*$', head, re.M)}

def figure(out, name, dirs, files):
    "The PNG of `out`, kept in `files` and shown by a link, with its alt text and its caption"
    files[path := f'README_files/{name}.png'] = base64.b64decode(out.data['image/png'])
    cap = dirs.get('fig-cap', '')
    md = f"![{dirs.get('fig-alt', cap)}]({path})" + (f'\n\n*{cap}*' if cap else '')
    return nbformat.v4.new_output('display_data', {'text/markdown': md})

def code_cell(cell, files):
    "`cell` as a reader should see it: no directives, hidden cells, progress bars (stderr) or inline images"
    dirs = directives(cell)
    if dirs.get('include') == 'false' or any(re.match('(hide|default_exp|export.*)$', k) for k in dirs): return
    outs = [o for o in cell.outputs if o.get('name') != 'stderr' and dirs.get('output') != 'false']
    name = dirs.get('label', f'fig-{cell.id}')
    cell.outputs = [figure(o, name + f'-{i}' * (i > 0), dirs, files) if 'image/png' in o.get('data', {}) else o
                    for i, o in enumerate(outs)]
    if dirs.get('echo') == 'false': cell.metadata['transient'] = {'remove_source': True}
    return cell

def text_cell(cell):
    "`cell` with its links to files beside the notebook made to work from here, and its summary a plain paragraph"
    def _link(m):
        if (name := f'{Path(m[1]).stem.upper()}.md') in pages and m[1].endswith('.qmd'): return f']({name}'
        return f'](nbs/{m[1]}' if (root/'nbs'/m[1]).is_file() else m[0]
    cell.source = re.sub(r'\]\(([^)#\s]+)', _link, re.sub(r'\A(# .*\n+)> ', r'\1', cell.source))
    return cell

def readme():
    "All that index.ipynb gives: a dict from path to content"
    nb, files = nbformat.read(root/'nbs/index.ipynb', as_version=4), {}
    cells = [code_cell(c, files) if c.cell_type == 'code' else text_cell(c) for c in nb.cells if c.cell_type != 'raw']
    nb.cells = [c for c in cells if c]
    nb.metadata['language_info'] = {'name': 'python'}  # nbdev_clean drops it; it colours the code
    md = re.sub(r'\n{3,}', '\n\n', MarkdownExporter().from_notebook_node(nb)[0]).strip()
    return {**files, 'README.md': (md.replace('\n', f'\n\n{warning}\n', 1) + '\n').encode()}

# --- Pages of the site that are files of the repository

def to_site(link):
    "A link from the top of the repository, as it reads on a page of the site"
    path,*anchor = link.split('#')
    if '://' in path or not path: return link
    if path.startswith('nbs/'): new = path[4:]
    elif path in pages: new = f'{path[:-3].lower()}.qmd'
    else: new = 'index.ipynb' if path == 'README.md' else blob + path
    return '#'.join([new, *anchor])

def page(name):
    "The site's page for the Markdown file `name`"
    title,body = (root/name).read_text(encoding='utf-8').split('\n', 1)
    body = re.sub(r'`[^`]*`|(?<=\]\()[^)\s]+', lambda m: m[0] if m[0][0] == '`' else to_site(m[0]), body)
    head = f'title: {title[2:]}\ndescription: "{pages[name]}"'
    return f'---\n{head}\n---\n\n<!-- Written by .ci/readme.py from {name}: edit that file. -->\n{body}'.encode()

# --- The sidebar

# The floors in its order: folder, name, and the notebooks that come first. A folder or a notebook that is not named
# here comes after those that are. Lessons of the course have a number; other notebooks beside them are for reference.
floors = [('foundations', 'Before the course', ''), ('', 'Course', ''),
    ('basics', 'Basics', 'param_groups torch_optimizer data batches averages saved_state plotting ranks course'),
    ('optimizers', 'Optimizers', 'family wrapping engines sharded'),
    ('training', 'Training',
     'callbacks tracking schedules curves prediction inspection activations display checks half'),
    ('runs', 'Runs', 'distributed sharded scale checkpoints shard_files saving export shares parts loaders'),
    ('projects', 'Projects', 'race book_race images gan gpt why_it_trains')]
before = ['index.ipynb', 'coming_from.ipynb']
after = ['99_all.ipynb', 'questions.ipynb', 'command.ipynb', 'changelog.qmd', 'contributing.qmd']

def title(path):
    "The title of a notebook"
    cells = json.loads((root/'nbs'/path).read_text(encoding='utf-8'))['cells']
    text = ''.join(next(c for c in cells if c['cell_type'] == 'markdown')['source'])
    return text.split('\n')[0].lstrip('# ')

def notebooks(folder, first=''):
    "The notebooks of a floor, in the order of the sidebar"
    found = [o for o in (root/'nbs'/folder).glob('*.ipynb') if o.name[0] not in '_.']
    found = sorted(o.relative_to(root/'nbs').as_posix() for o in found)
    rank = {o: i for i,o in enumerate(first.split())}
    return sorted((o for o in found if o not in before + after), key=lambda o: rank.get(Path(o).stem, len(rank)))

def number(path): return re.match(r'(\d+)_', Path(path).name)

def item(path, indent):
    "A line of the sidebar; a lesson is shown with its number"
    if path in after or not number(path): return f'{indent}- {path}'
    text = json.dumps(f'{int(number(path)[1])} · {title(path)}', ensure_ascii=False)
    return f'{indent}- text: {text}\n{indent}  href: {path}'

def sections():
    "All floors with their notebooks: those of `floors`, then others, then what is for reference"
    found = sorted({o.parent.name for o in (root/'nbs').glob('*/*.ipynb') if o.parent.name[0] not in '_.'})
    for folder,name,first in floors + [(o, o.capitalize(), '') for o in found if o not in [f[0] for f in floors]]:
        yield name, [o for o in notebooks(folder, first) if folder or number(o)]
    yield 'Reference', after + [o for o in notebooks('') if not number(o)]

def sidebar():
    "nbs/sidebar.yml: each notebook on its floor"
    lines = ['# Written by .ci/readme.py from the folders: change their order there.',
             'website:', '  sidebar:', '    contents:', *(item(o, ' '*6) for o in before)]
    for name,nbs in sections():
        if nbs: lines += [f'      - section: {name}', '        contents:', *(item(o, ' '*10) for o in nbs)]
    return ('\n'.join(lines) + '\n').encode()

# --- Write, or check

def written():
    "All that is written from other files: a dict from path to content"
    return {**readme(), 'nbs/sidebar.yml': sidebar(), **{f'nbs/{o[:-3].lower()}.qmd': page(o) for o in pages}}

def write(path, content):
    "Write a file, or remove it if it has no content any more"
    if content is None: return (root/path).unlink()
    (root/path).parent.mkdir(exist_ok=True)
    (root/path).write_bytes(content)

def main(check):
    "Write what has changed, or say what has"
    new = written()
    paths = {*new, *(p.relative_to(root).as_posix() for p in root.glob('README_files/*'))}
    old = {k: (root/k).read_bytes() for k in paths if (root/k).exists()}
    differ = sorted(k for k in paths if old.get(k) != new.get(k))
    if check and differ: return f"not what their sources give: {', '.join(differ)}; run `python .ci/readme.py`"
    for k in differ:
        write(k, new.get(k))
        print(f"{'wrote' if k in new else 'removed'} {k}")

if __name__ == '__main__': sys.exit(main('--check' in sys.argv))
