"The pages that lead to lessons: does each link lead to a heading that is there?"
import json, re
from pathlib import Path
import pytest

nbs = Path(__file__).resolve().parent.parent/'nbs'
pages = 'questions.ipynb', 'projects/why_it_trains.ipynb'

def markdown(path):
    cells = json.loads(path.read_text(encoding='utf-8'))['cells']
    return [''.join(c['source']) for c in cells if c['cell_type'] == 'markdown']

def anchor(heading):
    "What Quarto makes of a heading: letters, digits and `_-.`, from the first letter on"
    text = re.sub(r'[^\w\s.-]', '', heading.strip().lower())
    return re.sub(r'^[^a-z]+', '', re.sub(r'\s', '-', text))

def anchors(path):
    return {anchor(o) for text in markdown(path) for o in re.findall(r'^#{1,4} (.*)$', text, re.M)}

def links(page):
    for text in markdown(nbs/page): yield from re.findall(r'\]\(([^)\s]+\.(?:ipynb|qmd)(?:#[^)\s]*)?)\)', text)

def test_anchor():
    assert anchor('1cycle') == 'cycle'
    assert anchor('What goes wrong, and what it says') == 'what-goes-wrong-and-what-it-says'
    assert anchor('6. Which learning rate?') == 'which-learning-rate'

@pytest.mark.parametrize('page', pages)
def test_links_lead_somewhere(page):
    found = [o for o in links(page) if '://' not in o]
    assert found
    for link in found:
        path, _, at = link.partition('#')
        target = (nbs/page).parent/path
        assert target.is_file(), link
        assert not at or at in anchors(target), link

def test_all_questions_are_there():
    text = '\n'.join(markdown(nbs/'questions.ipynb'))
    numbers = [int(o) for o in re.findall(r'^### (\d+)\. ', text, re.M)]
    assert numbers == list(range(1, 28))
