"What is written for the site from other files, what finishes its pages, and what checks them"
import ast, importlib, importlib.util, json, re
from pathlib import Path
import pytest, yaml

root = Path(__file__).resolve().parent.parent
nbs = root/'nbs'

def script(name):
    "One of the scripts in .ci, as a module of its own"
    spec = importlib.util.spec_from_file_location(f'ci_{name}', root/'.ci'/f'{name}.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module

@pytest.fixture
def site(monkeypatch):
    "The script site.py, for a site of three notebooks"
    site = script('site')
    order = ['index.ipynb', '00_optimizer.ipynb', 'training/callbacks.ipynb', 'news.qmd']
    file = 'optimloop/training/callbacks.py'
    monkeypatch.setattr(site, 'reading_order', lambda: order)
    monkeypatch.setattr(site, 'index', lambda: {'optimizer.html': {'lr_find': ('lr_find', 'optimloop/optimizer.py')},
        'training/callbacks.html': {'EMA': ('ema', file), 'EMA.swapped': ('ema.swapped', file)}})
    return site

# --- Hand-made pages, in the form that Quarto gives them

head = '''<!DOCTYPE html><html><head><title>{title}{dash}optimloop</title>
<link id="quarto-bootstrap"><link id="quarto-bootstrap"></head><body>
<header id="title-block-header" class="quarto-title-block default"><h1 class="title">{title}</h1></header>
'''
source = '<hr><p><a href="https://github.com/optimloop/optimloop/blob/main/{file}#L3" target="_blank">source</a></p>'
heading = '<section id="{id}" class="level3"><h3 class="anchored" data-anchor-id="{id}">{name}</h3>'
code = ('<div class="sourceCode"><pre class="sourceCode python code-with-copy">'
        '<code class="sourceCode python">{}</code><button></button></pre></div>')

def entry(name, signature, doc='What it does', file='optimloop/optimizer.py', anchor=None, said=True):
    "An entry as show_doc writes it"
    start = source.format(file=file) if said else '<hr>'
    start += heading.format(id=anchor or name.lower(), name=name)
    return f'{start}{code.format(signature)}<p><em>{doc}</em></p></section>'

def page(title, body, dash=' – '): return head.format(title=title, dash=dash) + body + '</body></html>'

@pytest.fixture
def folder(tmp_path):
    "A rendered site of four pages and the search that Quarto makes for it"
    (tmp_path/'training').mkdir()
    here,link = 'https://optimloop.github.io/optimloop/training/callbacks.html', '[`Learner`](https://optimloop.github.io/x)'
    find = (f'<span class="kw">def</span> lr_find(\n    start, <span class="co"># {link} to use</span>\n    rule'
            '<span class="op">=&lt;</span>function valley at <span class="bn">0x7f12</span>&gt;\n):')
    (tmp_path/'optimizer.html').write_text(page('Optimizer', '<section id="summary" class="level2"><h2>Summary</h2>'
        + entry('lr_find', find, 'Find a rate') + f'<p><a href="{here}#ema.after_step">x</a>'
        f'<a href="{here}#_wide">y</a><a href="#summary">z</a></p></section>'))
    bare = 'def EMA(\n    <span class="op">*</span>args, <span class="op">**</span>kwargs\n):'
    (tmp_path/'training/callbacks.html').write_text(page('Training callbacks',
        '<nav id="TOC"><a href="#swapped" data-scroll-target="#swapped">swapped</a></nav>'
        + entry('EMA', bare, 'An average', 'optimloop/training/callbacks.py')
        + '<p><img src="../fig.png" alt="a line"></p>'
        + entry('swapped', 'def swapped():', 'In this context', said=False)))
    (tmp_path/'index.html').write_text(page('', '<a href="optimizer.html#lr_find">first</a>', dash=''))
    (tmp_path/'news.html').write_text(page('News', '<a href="./training/callbacks.html?q=1#ema.swapped">EMA</a>'))
    (tmp_path/'fig.png').write_bytes(b'')
    found = [('index.html', ''), ('optimizer.html', ''), ('optimizer.html', 'Summary'), ('training/callbacks.html', '')]
    items = [dict(objectID=o, href=o + f'#{s.lower()}'*bool(s), title='T', section=s, text='…', crumbs=['Course', 'T'])
             for o,s in found]
    (tmp_path/'search.json').write_text(json.dumps(items))
    return tmp_path

def texts(folder): return {o: o.read_text() for o in [*folder.rglob('*.html'), folder/'search.json']}

# --- Finishing the pages

def test_links_under_the_title(site, folder):
    site.finish(folder)
    text = (folder/'optimizer.html').read_text()
    there = 'optimloop/optimloop/blob/main/nbs/00_optimizer.ipynb'
    for o in ('colab.research.google.com/github', 'github.com'): assert f'<a href="https://{o}/{there}">' in text
    assert 'Next: <a href="training/callbacks.html">Training callbacks</a>' in text
    assert text.index('</header>') < text.index('lesson-links') < text.index('<section')
    assert 'Next: <a href="../news.html">News</a>' in (folder/'training/callbacks.html').read_text()
    for o in ('index.html', 'news.html'): assert 'lesson-links' not in (folder/o).read_text()

def test_signatures_are_tidy(site, folder):
    site.finish(folder)
    text = (folder/'optimizer.html').read_text()
    assert 'rule=valley' in text and '0x' not in text and '# Learner to use' in text and '](' not in text
    assert '<span class="kw">class</span> EMA():' in (folder/'training/callbacks.html').read_text()

@pytest.mark.parametrize('code', ['def Adam(\n    params, lr\n):', 'def f(*args, **kwargs):\n    return args',
    'def wrap(\n    *args, **kwargs\n):'])
def test_other_code_stays(site, code): assert site.tidy_signature(code) == code

def test_a_method_behind_a_context_manager_gets_its_class(site, folder):
    site.finish(folder)
    text = (folder/'training/callbacks.html').read_text()
    assert 'id="ema.swapped"' in text and '>EMA.swapped</h3>' in text and '"swapped"' not in text
    assert '<a href="#ema.swapped" data-scroll-target="#ema.swapped">EMA.swapped</a>' in text
    assert [o['name'] for o in site.Page(text).entries] == ['EMA', 'EMA.swapped']

def test_links_to_names_without_an_entry_lead_to_their_class(site, folder):
    site.finish(folder)
    links = site.read(folder/'optimizer.html').links
    assert 'https://optimloop.github.io/optimloop/training/callbacks.html#ema' in links
    assert 'https://optimloop.github.io/optimloop/training/callbacks.html' in links

def test_the_search_finds_the_api(site, folder):
    site.finish(folder)
    items = json.loads((folder/'search.json').read_text())
    assert [o['title'] for o in items if 'lr_find' in o['title'] + o['section']] == ['lr_find']
    first = items[0]
    assert first['href'] == first['objectID'] == 'optimizer.html?api=lr_find#lr_find'
    assert first['text'].startswith('lr_find def lr_find( start') and '): Find a rate' in first['text']
    assert first['crumbs'] == ['Course', 'T', 'Optimizer']
    assert len({o['href'].split('#')[0] for o in items if 'api=' in o['href']}) == 3  # each a result of its own
    assert len(items) == 4 + 3

def test_finishing_twice_changes_nothing(site, folder):
    site.finish(folder)
    once = texts(folder)
    site.finish(folder)
    assert texts(folder) == once

def test_finishing_what_is_not_there(site, tmp_path): site.finish(tmp_path/'nowhere')

# --- Checking them

def test_a_finished_site_has_no_faults(site, folder, capsys):
    site.finish(folder)
    assert site.check(folder) == []
    assert site.main(['--check', str(folder)]) == 0 and 'nothing found' in capsys.readouterr().out

@pytest.mark.parametrize('body,fault', [
    ('<a href="nowhere.html">x</a>', 'news.html: dead link: nowhere.html'),
    ('<a href="/optimloop/nowhere.html">x</a>', 'news.html: dead link: /optimloop/nowhere.html'),
    ('<a href="optimizer.html#nothing">x</a>', 'news.html: dead anchor: optimizer.html#nothing'),
    ('<a href="#nothing">x</a>', 'news.html: dead anchor: #nothing'),
    ('<a href="https://optimloop.github.io/optimloop/optimizer.html#no">x</a>',
     'news.html: dead anchor: https://optimloop.github.io/optimloop/optimizer.html#no'),
    ('<a href="https://github.com/optimloop/optimloop/blob/main/00_optimizer.ipynb">View source</a>',
     'news.html: not in the repository: https://github.com/optimloop/optimloop/blob/main/00_optimizer.ipynb'),
    ('<img src="fig.png">', 'news.html: image without alt: fig.png'),
    ('<p id="a"></p><p id="a"></p>', 'news.html: id given twice: a'),
    (entry('Muon', 'def Muon():'), 'news.html: not in the search: Muon'),
])
def test_faults_are_found(site, folder, body, fault):
    site.finish(folder)
    (folder/'news.html').write_text(page('News', body))
    assert site.check(folder) == [fault]
    assert site.main(['--check', str(folder)]) == 1

@pytest.mark.parametrize('link', ['https://pytorch.org/nothing', 'mailto:a@b.c', '#', '', '#top', './',
    'optimizer.html?q=lr#lr_find', '/optimloop/', 'training/../optimizer.html',
    'https://github.com/optimloop/optimloop/blob/main/nbs/00_optimizer.ipynb'])
def test_good_links_are_no_faults(site, folder, link):
    site.finish(folder)
    (folder/'news.html').write_text(page('News', f'<a href="{link}">x</a>'))
    assert site.check(folder) == []

def test_an_entry_without_a_docstring_is_a_fault(site, folder):
    (folder/'news.html').write_text(page('News', entry('Muon', 'def Muon():', 'Call self as a function.')))
    site.finish(folder)
    assert site.check(folder) == ['news.html: entry without a docstring: Muon']

def test_no_pages_are_a_fault(site, tmp_path): assert len(site.check(tmp_path)) == 1

@pytest.mark.parametrize('source,made', [('02_learner.ipynb', 'learner.html'), ('runs/parts.ipynb', 'runs/parts.html'),
    ('foundations/01_losses.ipynb', 'foundations/losses.html'), ('404.qmd', '404.html'), ('99_all.ipynb', 'all.html')])
def test_names_of_pages(site, source, made): assert site.page_of(source) == made

# --- What is written from other files

@pytest.fixture(scope='module')
def readme(): return script('readme')

def test_every_notebook_is_in_the_sidebar(readme):
    paths = [o.relative_to(nbs) for o in nbs.rglob('*.ipynb')]
    found = {o.as_posix() for o in paths if not any(p[0] in '_.' for p in o.parts)}
    text = readme.sidebar().decode()
    listed = re.findall(r'[\w/]+\.ipynb', text)
    assert set(listed) == found and len(listed) == len(found)
    assert '- text: "0 · ' in text and yaml.safe_load(text)['website']['sidebar']['contents'][3]['section'] == 'Course'
    assert script('site').reading_order()[:3] == ['index.ipynb', 'coming_from.ipynb', 'foundations/01_loss.ipynb']

@pytest.mark.parametrize('link,there', [('nbs/02_learner.ipynb#a', '02_learner.ipynb#a'),
    ('CONTRIBUTING.md', 'contributing.qmd'), ('https://x.y/z', 'https://x.y/z'), ('#style', '#style'),
    ('README.md', 'index.ipynb'),
    ('.ci/run', 'https://github.com/optimloop/optimloop/blob/main/.ci/run')])
def test_links_of_files_that_become_pages(readme, link, there): assert readme.to_site(link) == there

def test_all_that_the_configuration_names_is_there():
    text = (nbs/'_quarto.yml').read_text()
    for o in re.findall(r'(?:href|favicon|css): ([\w./]+)$', text, re.M): assert (nbs/o).is_file(), o
    assert (root/'_proc'/yaml.safe_load(text)['project']['post-render']).resolve() == root/'.ci/site.py'

# --- Colours

def luminance(colour):
    parts = [int(colour[i:i+2], 16)/255 for i in (1, 3, 5)]
    return sum(w*(c/12.92 if c <= .03928 else ((c+.055)/1.055)**2.4) for w,c in zip((.2126, .7152, .0722), parts))

def contrast(a, b):
    "The contrast of two colours, as the Web Content Accessibility Guidelines define it"
    low,high = sorted([luminance(a), luminance(b)])
    return (high+.05)/(low+.05)

def mixed(a, b, share):
    "The colour that is `share` of `a` over `b`"
    return '#' + ''.join(f'{round(share*int(a[i:i+2], 16) + (1-share)*int(b[i:i+2], 16)):02x}' for i in (1, 3, 5))

def test_contrast_of_the_navbar():
    bar = yaml.safe_load((nbs/'_quarto.yml').read_text())['website']['navbar']
    assert contrast('#ffffff', '#000000') == pytest.approx(21)
    assert contrast('#2780e3', '#fdfeff') == pytest.approx(3.93, abs=.02)  # the theme's own, as it was
    assert contrast(bar['background'], bar['foreground']) > 8

@pytest.mark.parametrize('text,ground', [('#373a3c', '#ffffff'), ('#ffffff', '#222222')])  # of cosmo and of darkly
def test_contrast_of_captions(text, ground):
    shares = [float(o) for o in re.findall(r'opacity: ([\d.]+)', (nbs/'styles.css').read_text())]
    assert len(shares) == 2 and all(contrast(mixed(text, ground, o), ground) > 7 for o in shares)

# --- What the pages say of the package

def cells(path, kind):
    "The sources of the cells of one kind"
    return [''.join(c['source']) for c in json.loads((nbs/path).read_text())['cells'] if c['cell_type'] == kind]

def resolve(name):
    "What a dotted name of optimloop.all means"
    import optimloop.all as lib
    top,*rest = name.split('.')
    assert top in lib.__all__, name
    o = getattr(lib, top)
    for part in rest: o = getattr(o, part)

def test_names_for_those_who_come_from_elsewhere():
    rows = [o for cell in cells('coming_from.ipynb', 'markdown') for o in re.findall(r'^\|.*\| (.*) \|$', cell, re.M)]
    code = [o for row in rows for o in re.findall(r'`([^`]+)`', row)]
    found = [m[0] for o in code if (m := re.match(r'[A-Za-z_][\w.]*(?=$|\()', o))]
    names = [o for o in found if o not in ('metrics', 'splitter', 'trusted')]
    assert len(names) > 80
    for o in names: resolve(o)

def test_the_table_of_modules_in_the_changelog():
    text = (root/'CHANGELOG.md').read_text()
    rows = re.findall(r'^ *\| `optimloop\.([\w.]+)` \| `(optimloop\.[\w.]+)` \| (.*) \|$', text, re.M)
    assert len(rows) > 20
    for _,module,what in rows:
        there = importlib.import_module(module)
        if what.startswith('all'): continue
        from optimloop.learner import Learner
        for o in re.findall(r'`(\w+)`', what): assert hasattr(there, o) or hasattr(Learner, o), (module, o)

def shown(path):
    "The definitions that have an entry on the page of a notebook"
    for o in cells(path, 'code'):
        if re.search(r'^#\|\s*exports?\b', o, re.M) and not re.search(r'^#\|\s*hide\b', o, re.M):
            yield from (t for t in ast.parse(o).body if isinstance(t, (ast.FunctionDef, ast.ClassDef)))

notebooks = sorted(o.relative_to(nbs).as_posix() for o in nbs.rglob('*.ipynb') if o.parent.name[0] not in '._')

@pytest.mark.parametrize('path', notebooks)
def test_every_entry_has_a_docstring(path):
    bare = [t.name for t in shown(path) if (t.name[0] != '_' or t.name[:2] == '__') and not ast.get_docstring(t)]
    assert not bare, f'{path}: shown without a docstring: {bare}'

# --- Workflows

def test_deploying_waits_for_tests_and_the_site():
    jobs = yaml.safe_load((root/'.github/workflows/test.yaml').read_text())['jobs']
    assert set(jobs['deploy']['needs']) == set(jobs) - {'deploy'}
    assert jobs['checks']['strategy']['matrix']['python'] == ['3.10', '3.11', '3.12', '3.13']
    quarto = [o for o in jobs['site']['steps'] if 'quarto' in o.get('uses', '')]
    assert [o['with']['version'][:3] for o in quarto] == ['1.7']
