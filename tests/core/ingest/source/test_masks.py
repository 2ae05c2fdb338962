import pytest

from core.ingest.source.masks import is_mask

MASKS = [
    "COVID/masks/COVID-1.png",
    "COVID-19_Radiography_Dataset/Viral Pneumonia/masks/Viral Pneumonia-1.png",
    "NORMAL/Masks/1.png",
    "NORMAL/mask/1.png",
    "NORMAL/lung_masks/1.png",
    "Infection Segmentation Data/Test/COVID-19/infection masks/a.png",
    "MontgomerySet/ManualMask/leftMask/MCUCXR_0001_0.png",
    "train/NORMAL/masks_png/1.png",
    "QaTa/Ground-truths/x.png",
    "NORMAL/GT/1.png",
    "NORMAL/CHNCXR_0001_0_mask.png",
    "NORMAL/mask_covid_1.png",
    "NORMAL/IM-0001-0001_mask.jpeg",
    "NORMAL/IM-0001-0001-Mask-2.jpeg",
    "NORMAL/IM-0001.mask.png",
    "NORMAL/person1Mask.png",
    "NORMAL/IM-0001_seg.png",
    "NORMAL/IM-0001_lungmask.png",
]
IMAGES = [
    "COVID/images/COVID-1.png",
    "Lung Segmentation/CXR_png/CHNCXR_0001_0.png",
    "Chest Xray Masks and Labels/images/NORMAL/1.png",
    "masks and images/NORMAL/1.png",
    "face-mask-study/NORMAL/1.png",
    "NORMAL/no_mask_1.png",
    "NORMAL/patient_without_mask.png",
    "NORMAL/unmasked/1.png",
    "NORMAL/masked_1.png",
    "NORMAL/MASKELL-01.png",
    "PNEUMONIA/person1_bacteria_1.jpeg",
    "NORMAL/NORMAL2-IM-0001-0001.jpeg",
    "segments/NORMAL/1.png",
    "NORMAL/00000001_000.png",
    "NORMAL/.png",
]


@pytest.mark.parametrize("path", MASKS)
def test_masks(path):
    assert is_mask(path)


@pytest.mark.parametrize("path", IMAGES)
def test_images(path):
    assert not is_mask(path)
