"""A folder of images: what may be in it, what may be wrong with it, and a race on it that is killed and goes on."""
import contextlib, io, os, pickle, re, shutil, signal, subprocess, sys, traceback
from functools import partial
from pathlib import Path

import matplotlib
matplotlib.use('agg')
import matplotlib.pyplot as plt, numpy as np, pytest, torch
from PIL import Image

from optimloop.projects import images as module, race as program
from optimloop.projects.book_race import *
from optimloop.projects.images import *

@pytest.fixture(scope='session')
def pristine(tmp_path_factory): return shape_folder(tmp_path_factory.mktemp('images')/'shapes', n_train=6, n_valid=3)

@pytest.fixture
def folder(pristine, tmp_path): return Path(shutil.copytree(pristine, tmp_path/'my images'))

@pytest.fixture(autouse=True)
def quick(monkeypatch):
    "A small network, and no figure"
    monkeypatch.setitem(archs, 'tiny', partial(ResNet, (1,1,1,1), width=4))
    monkeypatch.setattr(program, '_draw', lambda runs, out: None)

def said(*argv):
    "Exit code, stdout and stderr of the command"
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        code = program.main([str(o) for o in argv])
    plt.close('all')
    return code,out.getvalue(),err.getvalue()

def race_on(folder, *more):
    small = '--arch', 'tiny', '--size', '16', '--bs', '4', '--epochs', '1', '--workers', '0', '--recipes', 'sgd'
    return said('--data', folder, *small, '--out', folder.parent/'race.png', *more)

# what is wrong is said in one line, before anything is written

def first(folder): return folder/'train'/'box'/'000.jpg'

def bomb(folder): (folder/'val'/'disc'/'bomb.ppm').write_bytes(b'P6 9460 9460 255\n') # just above the limit

def over(change): return lambda folder: change(first(folder))

def link(target): return lambda file: (file.unlink(), file.symlink_to(target))

mistakes = dict(
    no_image=(over(lambda o: o.write_bytes(b'no image')), r'box/000.jpg cannot be read: it is no image'),
    html=(over(lambda o: o.write_text('<html>not found')), r'box/000.jpg cannot be read: it is no image'),
    zero_bytes=(over(lambda o: o.write_bytes(b'')), r'box/000.jpg is empty, 0 bytes'),
    header_only=(over(lambda o: o.write_bytes(o.read_bytes()[:20])), r'box/000.jpg cannot be read: '),
    bomb=(bomb, r'disc/bomb.ppm cannot be read: more than 89,478,485 pixels'),
    nowhere=(over(link('nowhere')), r'box/000.jpg cannot be read: No such file'),
    loop=(over(link('000.jpg')), r'box/000.jpg cannot be read: Too many levels of symbolic links'),
    pipe=(over(lambda o: (o.unlink(), os.mkfifo(o))), r'box/000.jpg is no file'),
    folder=(over(lambda o: (o.unlink(), o.mkdir())), r'box/000.jpg is no file'),
    inner=(lambda o: (o/'train'/'box'/'more').mkdir(), r'box/more is a folder: expected images in '),
    up=(lambda o: (o/'train'/'box'/'up').symlink_to(o), r'box/up is a folder'),
    class_up=(lambda o: (o/'train'/'up').symlink_to(o/'train'), r'val lacks up'),
    class_nowhere=(lambda o: (o/'train'/'star').symlink_to('nowhere'), r'train/star is a link that leads nowhere'),
    class_loop=(lambda o: (o/'train'/'star').symlink_to('star'), r'train/star is a link that leads nowhere'),
    empty=(lambda o: [f.unlink() for f in (o/'val'/'box').iterdir()], r'val/box holds no images'),
    gone=(lambda o: shutil.rmtree(o/'val'/'box'), r'val lacks box, which .*train has'),
    extra=(lambda o: (o/'val'/'star').mkdir(), r'train lacks star, which .*val has'),
    one=(lambda o: [shutil.rmtree(o/p/k) for p in ('train','val') for k in ('box','disc')], r'1 folders of classes'),
    no_train=(lambda o: shutil.rmtree(o/'train'), r'has no folder train: expected the folders train and val'),
    no_val=(lambda o: shutil.rmtree(o/'val'), r'has no folder val or valid'),
    both=(lambda o: shutil.copytree(o/'val', o/'valid'), r'has both val and valid'),
    flat=(lambda o: [shutil.rmtree(k) for k in (o/'train').iterdir()], r'0 folders of classes'),
    odd_name=(lambda o: (o/'train'/'box'/'a\nb.jpg').write_bytes(b'x'), r'box/a b.jpg cannot be read'),
    no_utf8=(lambda o: open(os.fsencode(o/'train'/'box')+b'/\xff.jpg', 'wb').close(), r'is empty'),
)

@pytest.mark.parametrize('name', mistakes)
def test_mistakes(name, folder):
    spoil,msg = mistakes[name]
    spoil(folder)
    before = sorted(os.listdir(folder.parent))
    code,out,err = race_on(folder, '--checkpoints', folder.parent/'kept')
    assert (code, out, len(err.splitlines()))==(2,'',1), err
    assert err.startswith('optimloop: ') and re.search(msg, err), err
    assert sorted(os.listdir(folder.parent))==before

@pytest.mark.skipif(os.geteuid()==0, reason="root may read all")
def test_permissions(folder):
    for o in first(folder),folder/'train'/'disc':
        mode = o.stat().st_mode
        o.chmod(0)
        code,out,err = race_on(folder)
        o.chmod(mode)
        assert (code, out, len(err.splitlines()))==(2,'',1) and f'{o} cannot be read: Permission denied' in err

@pytest.mark.parametrize('argv,msg', [
    (('--bs',19), '--bs 19: expected 2 to 18, the number of training images'), (('--bs',1), '--bs 1: expected 2 to 18'),
    (('--size',4), '--size 4: expected 8 to 1024'), (('--workers',-1), '--workers -1: expected 0 to 64'),
    (('--arch','resnet50'), "unknown network 'resnet50': choose one of resnet18, resnet34"),
    (('--recipes','lion'), "unknown recipe 'lion': choose from adam, rmsprop, sgd, momentum, sgd_1cycle"),
    (('--arch',''), '--arch: expected a value, and it is empty'), (('--recipes',''), '--recipes: expected a value'),
    (('--checkpoints','','--resume'), '--checkpoints: expected a value'),
    (('--find-lr',), '--find-lr has no meaning with a folder'), (('--resume',), '--resume: give the folder'),
    (('--schedule','1cycle'), '--schedule has no meaning with a folder')])
def test_options(argv, msg, folder):
    code,out,err = race_on(folder, *argv)
    assert (code, out, len(err.splitlines()))==(2,'',1) and msg in err

def test_data_that_is_no_folder(folder):
    for data,msg in ((first(folder),'is not an .npz file'), (folder/'no','there is no such file or folder')):
        code,out,err = said('--data', data)
        assert (code, out, len(err.splitlines()))==(2,'',1) and msg in err
    with pytest.raises(ImageError, match='is a file: expected the folders train and val'): list_images(first(folder))
    with pytest.raises(ImageError, match='there is no such folder'): list_images(folder/'no')

def test_without_a_folder_nothing_has_changed():
    o = program.check_options(program.options())
    assert {k:o[k] for k in ('epochs','bs','optimizers','schedule','data','find_lr')}==dict(epochs=6, bs=32,
        optimizers=['sgd','momentum','rmsprop','adam'], schedule=['constant','1cycle'], data=None, find_lr=False)
    assert '--size has no meaning without --data FOLDER' in said('--size', '32')[2]

# what is broken further back than its header is found when it is read

@pytest.mark.parametrize('workers', (0,2))
def test_a_truncated_file(workers, folder):
    first(folder).write_bytes(first(folder).read_bytes()[:-500])
    code,out,err = race_on(folder, '--bs', 18, '--workers', workers)
    assert (code, out)==(2,'') and 'Traceback' not in err and not (folder.parent/'race.png').exists()
    assert err.splitlines()[-1].startswith(f'optimloop: {first(folder)} cannot be read: ')

def error_of(dl):
    "The message of the error that a loader raises"
    try: next(iter(dl))
    except ImageError as e:
        traceback.clear_frames(e.__traceback__) # or its workers would live on until the garbage is collected
        return str(e)

@pytest.mark.parametrize('workers', (0,2))
def test_files_that_change_after_the_list(workers, folder):
    dls,file = image_dls(folder, size=16, bs=18, workers=workers),first(folder)
    whole = file.read_bytes()
    file.unlink()
    assert error_of(dls.train)==f'{file} cannot be read: it is gone since the images were listed'
    file.write_bytes(whole+b'0')
    assert error_of(dls.train)==f'{file} cannot be read: the file has changed since the images were listed'
    (folder/'train'/'box'/'new.jpg').write_bytes(b'') # what comes later is not seen
    assert len(dls.train.dataset)==18

def test_the_list_does_not_depend_on_the_system(folder, monkeypatch):
    before,listdir = list_images(folder),os.listdir
    monkeypatch.setattr(os, 'listdir', lambda o: listdir(o)[::-1])
    assert list_images(folder)==before

def test_too_little_memory(folder, monkeypatch):
    def as_rgb(im): raise MemoryError
    monkeypatch.setattr(module, 'as_rgb', as_rgb)
    assert '.jpg cannot be read: the memory does not suffice' in race_on(folder)[2]

class Dying(ImageDataset):
    def __getitem__(self, key): os._exit(1)

def test_a_worker_that_dies(folder, monkeypatch):
    monkeypatch.setattr(module, 'ImageDataset', Dying)
    code,out,err = race_on(folder, '--workers', 1)
    assert (code, out)==(2,'') and 'Traceback' not in err
    assert err.splitlines()[-1].startswith('optimloop: 1/1 sgd: DataLoader worker')

# what may be in a folder

def test_names(folder):
    box = folder/'train'/'box'
    for name in ('Ä ö 图.JPG','b.JpEg','c d.jpg'): shutil.copy(first(folder), box/name)
    for name in ('.DS_Store','._a.jpg','labels.csv','Thumbs.db'): (box/name).write_bytes(b'no image')
    (folder/'train'/'.hidden').mkdir()
    (folder/'train'/'readme.txt').write_text('')
    (box/'linked.jpg').symlink_to(first(folder))
    shutil.move(folder/'train'/'disc', folder.parent/'elsewhere')
    (folder/'train'/'disc').symlink_to(folder.parent/'elsewhere')
    (folder/'val').rename(folder/'valid')
    lists = list_images(folder)
    assert lists.classes==['box','disc','triangle'] and len(lists.train)==18+4 and len(lists.valid)==9
    assert race_on(folder)[0]==0

def some_image(mode, size=(9,7)):
    a = np.random.default_rng(0).integers(0, 256, (size[1],size[0],4), dtype=np.uint8)
    if mode=='16': return Image.fromarray(a[...,0].astype(np.uint16)*257)
    if mode=='P+': # a palette with a transparent color
        im = Image.fromarray(a[...,:3]).quantize(8)
        im.info['transparency'] = 0
        return im
    return Image.fromarray(a).convert(mode)

kinds = [('L','jpg'),('RGB','jpg'),('CMYK','jpg'),('1','png'),('L','png'),('LA','png'),('P','png'),('P+','png'),
         ('16','png'),('16','tif'),('RGBA','png'),('RGBA','webp'),('P','gif'),('P+','gif'),('CMYK','tif'),('LAB','tif'),
         ('YCbCr','jpg'),('L','pgm'),('RGB','ppm'),('RGB','bmp'),('I','tif')]

def test_kinds_of_images(folder):
    box = folder/'train'/'box'
    for i,(mode,end) in enumerate(kinds): some_image(mode).save(box/f'{i:02}_{mode}.{end}')
    for i,size in enumerate([(1,1),(1,3000),(3000,1),(2,2)]): some_image('RGB', size).save(box/f'size{i}.png')
    for f in list_images(folder).train[:len(kinds)+4]:
        im = read_image(f)
        assert im.mode=='RGB'
        for seed in (None,*range(20)): assert to_input(view_of(im, 16, seed)).isfinite().all()
    code,out,err = race_on(folder, '--workers', 2)
    assert code==0, err

def test_grey_of_16_bits_is_not_white(folder):
    file = folder/'train'/'box'/'a.png'
    Image.fromarray(np.full((4,4), 32768, np.uint16)).save(file)
    f = next(o for o in list_images(folder).train if o.path==str(file))
    assert np.asarray(read_image(f)).max()==128

def test_floating_point_pixels(folder):
    Image.fromarray(np.zeros((4,4), np.float32)).save(folder/'train'/'box'/'a.tif')
    code,out,err = race_on(folder, '--bs', 18)
    assert code==2 and 'a.tif cannot be read: floating-point pixels: expected 8 or 16 bits a channel' in err

def test_exif(folder):
    im = Image.new('RGB', (8,4))
    for content in (6,b'nonsense'):
        exif = im.getexif()
        exif[0x0112] = content if isinstance(content, int) else 1
        data = exif.tobytes() if isinstance(content, int) else b'Exif\0\0II*\0\xff\xff\xff\xff'
        im.save(folder/'train'/'box'/'a.jpg', exif=data)
        f = next(o for o in list_images(folder).train if o.path.endswith('a.jpg'))
        assert read_image(f).size==((4,8) if isinstance(content, int) else (8,4))

def test_what_workers_get_may_be_pickled(folder):
    ds = image_dls(folder, size=16, bs=4).train.dataset
    x,y = pickle.loads(pickle.dumps(ds))[3,17]
    assert torch.equal(x, ds[3,17][0]) and not torch.equal(x, ds[3,18][0]) and x.is_contiguous()
    assert str(pickle.loads(pickle.dumps(ImageError('a: b'))))=='a: b'

# a race that was killed goes on to the same last bit

script = """
import os, signal, sys
from functools import partial
from optimloop.callbacks import Callback
from optimloop.projects.book_race import *
from optimloop.projects.images import *

class Kill(Callback):
    def after_batch(self):
        if self.training and self.train_iter==6:
            for o in self.cbs:
                if o.name=='checkpoint': o._wait() # or it depends on chance what has been written
            os.kill(os.getpid(), signal.SIGKILL)

torch.set_num_threads(1)
archs['tiny'] = partial(ResNet, (1,1,1,1), width=4)
train_recipe('adam', list_images(sys.argv[1]), 'tiny', 2, size=16, bs=4, folder=sys.argv[2], every_batches=1,
    workers=int(sys.argv[3]), cbs=[Kill])
"""

def same(a, b):
    weights = all(map(torch.equal, a.model.state_dict().values(), b.model.state_dict().values()))
    return weights and a.recorder.losses==b.recorder.losses and a.recorder.values==b.recorder.values

def test_kill_and_go_on(folder, tmp_path):
    torch.set_num_threads(1)
    args = dict(name='adam', images=list_images(folder), arch='tiny', epochs=2, size=16, bs=4)
    started = [subprocess.Popen([sys.executable, '-c', 'import torch\n'+script, folder, tmp_path/f'w{n}', str(n)],
        stderr=subprocess.DEVNULL) for n in (0,2)]
    whole = train_recipe(**args, workers=0)
    for n,p in zip((0,2), started):
        assert p.wait(60)==-signal.SIGKILL
        newest = max((tmp_path/f'w{n}').glob('*.safetensors')).name
        assert newest.endswith('epoch1_batch1.safetensors') or newest.endswith('epoch1_batch2.safetensors'), newest
        assert same(train_recipe(**args, workers=n, folder=tmp_path/f'w{n}', every_batches=1), whole)
    again = train_recipe(**args, folder=tmp_path/'w0') # it is over: nothing is trained
    assert same(again, whole)

def numbers(out): return [line.rsplit(None, 2)[0] for line in out.splitlines()] # without the times

def test_the_command_goes_on(folder, monkeypatch):
    kept = folder.parent/'kept'
    more = '--recipes', 'sgd,adam', '--epochs', 2
    whole = race_on(folder, *more)
    assert whole[0]==0
    begin = race_on(folder, *more, '--checkpoints', kept, '--resume') # there is nothing to go on with: it begins
    assert begin[0]==0 and numbers(begin[1])==numbers(whole[1])
    for o in (kept/'adam').glob('*epoch2*'): o.unlink() # as if it had been killed before
    again = race_on(folder, *more, '--checkpoints', kept, '--resume')
    assert again[0]==0 and numbers(again[1])==numbers(whole[1])
    more = *more, '--checkpoints', kept
    assert 'go on with --resume' in race_on(folder, *more)[2]
    assert 'has a race with lr None (now 0.1)' in race_on(folder, *more, '--resume', '--lr', .1)[2]
    first(folder).unlink()
    assert 'has a race with other images' in race_on(folder, *more, '--resume')[2]
    (kept/'race.json').write_text('{')
    assert 'race.json is damaged' in race_on(folder, *more, '--resume')[2]
    (kept/'race.json').unlink() # whose checkpoints are these?
    for o in (), ('--resume',): assert 'has other files in it, and no race' in race_on(folder, *more, *o)[2]

def test_a_place_for_checkpoints(folder):
    for place,msg in ((first(folder),'is no folder'), (first(folder)/'a','is no folder')):
        code,out,err = race_on(folder, '--checkpoints', place)
        assert (code, out)==(2,'') and msg in err.splitlines()[-1], err

def test_the_figure(folder, monkeypatch):
    monkeypatch.undo() # `quick`
    monkeypatch.setitem(archs, 'tiny', partial(ResNet, (1,1,1,1), width=4))
    code,out,err = race_on(folder)
    assert code==0 and out.endswith(f"\nThe curves are in {folder.parent/'race.png'}.\n")
    assert Image.open(folder.parent/'race.png').size[0] > 300

def test_ctrl_c(folder, monkeypatch):
    true = program.race_recipes
    def race_recipes(images, names, runs, **kwargs):
        true(images, names[:1], runs, **kwargs)
        raise KeyboardInterrupt
    monkeypatch.setattr(program, 'race_recipes', race_recipes)
    code,out,err = race_on(folder, '--recipes', 'sgd,adam')
    assert code==130 and len(out.splitlines())==2 and err.endswith('\noptimloop: interrupted: 1 of 2 runs finished\n')

def test_the_table_of_imagenette(folder):
    for part in ('train','val'):
        for o in (folder/part).iterdir(): shutil.rmtree(o)
        for name in imagenette:
            (folder/part/name).mkdir()
            some_image('RGB').save(folder/part/name/'a.JPEG')
    code,out,err = race_on(folder, '--recipes', 'all')
    head,*rows = out.splitlines()[:6]
    assert code==0 and head.split()[-3:]==['book','2nd','run']
    assert [row.split()[0] for row in rows]==list(recipes)
    assert [row.split()[-2:] for row in rows]==[['59.5%','54.5%'],['54.5%','53.2%'],['44.5%','49.8%'],['41.9%','45.2%'],
        ['40.9%','43.0%']]
    assert 'other than in the book: arch tiny (resnet34), size 16 (128), epochs 1 (3), bs 4 (128), precision fp32' \
        in out

# the network

def test_resnets():
    net = archs['resnet34']()
    assert sum(p.numel() for p in net.parameters())==21_797_672
    names = list(net.state_dict())
    assert len(names)==218 and names[:6]==['conv1.weight','bn1.weight','bn1.bias','bn1.running_mean','bn1.running_var',
        'bn1.num_batches_tracked'] and names[6]=='layer1.0.conv1.weight' and names[-2:]==['fc.weight','fc.bias']
    i = names.index('layer2.0.downsample.0.weight')
    assert names[i-1]=='layer2.0.bn2.num_batches_tracked' and names[i+1]=='layer2.0.downsample.1.weight'
    assert [n for n,_ in net.named_children()]==['conv1','bn1','relu','maxpool','layer1','layer2','layer3','layer4',
        'avgpool','fc']
    assert net(torch.zeros(1, 3, 64, 64)).shape==(1,1000)
