"The package's metadata, read from settings.ini. An isolated build has only setuptools and the standard library."
from configparser import ConfigParser
from pathlib import Path
from setuptools import setup, find_packages

root = Path(__file__).parent
ini = ConfigParser(delimiters=['='])
ini.read(root/'settings.ini', encoding='utf-8')
cfg = ini['DEFAULT']

statuses = ['0 - Unknown', '1 - Planning', '2 - Pre-Alpha', '3 - Alpha', '4 - Beta', '5 - Production/Stable',
            '6 - Mature', '7 - Inactive']
licenses = {'apache2': 'Apache-2.0'}  # nbdev's names to SPDX; stated here only, PyPI has retired its classifiers
pythons = '3.10 3.11 3.12 3.13'.split()
min_minor = int(cfg['min_python'].split('.')[1])

setup(
    name=cfg['lib_name'], version=cfg['version'], description=cfg['description'], keywords=cfg['keywords'],
    author=cfg['author'], author_email=cfg['author_email'], license=licenses[cfg['license']],
    url=cfg['git_url'], project_urls={'Documentation': cfg['doc_host'] + cfg['doc_baseurl'] + '/'},
    long_description=(root/'README.md').read_text(encoding='utf-8'), long_description_content_type='text/markdown',
    classifiers=[f"Development Status :: {statuses[int(cfg['status'])]}",
                 f"Intended Audience :: {cfg['audience']}",
                 f"Natural Language :: {cfg['language']}",
                 *[f'Programming Language :: Python :: {v}' for v in pythons if int(v.split('.')[1]) >= min_minor]],
    packages=find_packages(include=[cfg['lib_path'], cfg['lib_path'] + '.*']), zip_safe=False,
    package_data={'': ['py.typed', '*.pyi']},  # for editors: written by .ci/stubs.py
    python_requires='>=' + cfg['min_python'],
    install_requires=cfg['requirements'].split(),
    extras_require={k: cfg[f'{k}_requirements'].split() for k in ('course', 'dev', 'images', 'mnist', 'trainers')},
    entry_points={'console_scripts': cfg['console_scripts'].split(),
                  'nbdev': [f"{cfg['lib_name']}={cfg['lib_path']}._modidx:d"]},  # other projects' docs can link to ours
)
