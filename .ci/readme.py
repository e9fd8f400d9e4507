"""Write README.md, and the figures it shows, from nbs/index.ipynb: what `nbdev_readme` does, without Quarto.
With `--check`, write nothing, and exit with 1 if they are not what the notebook gives."""
import base64, re, sys
from pathlib import Path
import nbformat
from nbconvert import MarkdownExporter

root = Path(__file__).resolve().parent.parent
warning = '<!-- Written by .ci/readme.py from nbs/index.ipynb: edit that notebook, not this file. -->'

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
    def _link(m): return f'](nbs/{m[1]}' if (root/'nbs'/m[1]).is_file() else m[0]
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

new = readme()
old = {p.relative_to(root).as_posix(): p.read_bytes() for p in [*root.glob('README.md'), *root.glob('README_files/*')]}
for k in (differ := sorted(k for k in {**old, **new} if old.get(k) != new.get(k))):
    if '--check' in sys.argv: continue
    if k in new: (root/k).parent.mkdir(exist_ok=True); (root/k).write_bytes(new[k])
    else: (root/k).unlink()
    print(f"{'wrote' if k in new else 'removed'} {k}")
if '--check' in sys.argv and differ: sys.exit(f"not what nbs/index.ipynb gives: {', '.join(differ)}; run `python .ci/readme.py`")
