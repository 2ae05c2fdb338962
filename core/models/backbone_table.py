"""Table of the supported backbones: all classifiers of keras.applications."""

# ruff: noqa: E501 (a line of the table is a line)

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class BackboneInfo:
    """Properties of a network of keras.applications.

    Attributes:
      keras_module: its module in keras.applications, which contains `preprocess_input`.
      default_size: default side of the input, pixels.
      default_layer: default layer above which fine-tuning trains; the part above it makes 9 to 28 %
        of the multiplications at the default size.
      weight_file: name of the published ImageNet weight file without top.
      weight_hash: published digest of that file, MD5 (32 digits) or SHA-256 (64); empty if Keras
        publishes none.
    """

    keras_module: str
    default_size: int
    default_layer: str
    weight_file: str
    weight_hash: str = ""


_TF: Final = "weights_tf_dim_ordering_tf_kernels"

# fmt: off
BACKBONES: Final[dict[str, BackboneInfo]] = {
    "InceptionV3": BackboneInfo("inception_v3", 299, "mixed7", f"inception_v3_{_TF}_notop.h5", "bcbd6486424b2319ff4ef7d526e38f63"),
    "VGG16": BackboneInfo("vgg16", 224, "block4_pool", f"vgg16_{_TF}_notop.h5", "6d6bbae143d832006294945121d1f1fc"),
    "VGG19": BackboneInfo("vgg19", 224, "block4_pool", f"vgg19_{_TF}_notop.h5", "253f8cb515780f3b799900260a226db6"),
    # The input of block 13: the sum at the end of block 12, the last block of the middle flow.
    "Xception": BackboneInfo("xception", 299, "add_10", f"xception_{_TF}_notop.h5", "b0042744bf5b25fce3cb969f33bebb97"),
    "InceptionResNetV2": BackboneInfo("inception_resnet_v2", 299, "block17_20_ac", f"inception_resnet_v2_{_TF}_notop.h5", "d19885ff4a710c122648d3b5c3b684e4"),
    "ResNet50": BackboneInfo("resnet", 224, "conv4_block6_out", f"resnet50_{_TF}_notop.h5", "4d473c1dd8becc155b73f8504c6f6626"),
    "ResNet101": BackboneInfo("resnet", 224, "conv4_block20_out", f"resnet101_{_TF}_notop.h5", "88cf7a10940856eca736dc7b7e228a21"),
    "ResNet152": BackboneInfo("resnet", 224, "conv4_block30_out", f"resnet152_{_TF}_notop.h5", "ee4c566cf9a93f14d82f913c2dc6dd0c"),
    "ResNet50V2": BackboneInfo("resnet_v2", 224, "conv5_block1_preact_relu", f"resnet50v2_{_TF}_notop.h5", "fac2f116257151a9d068a22e544a4917"),
    "ResNet101V2": BackboneInfo("resnet_v2", 224, "conv4_block20_out", f"resnet101v2_{_TF}_notop.h5", "c0ed64b8031c3730f411d2eb4eea35b5"),
    "ResNet152V2": BackboneInfo("resnet_v2", 224, "conv4_block30_out", f"resnet152v2_{_TF}_notop.h5", "ed17cf2e0169df9d443503ef94b23b33"),
    "DenseNet121": BackboneInfo("densenet", 224, "pool3_pool", f"densenet121_{_TF}_notop.h5", "30ee3e1110167f948a6b9946edeeb738"),
    "DenseNet169": BackboneInfo("densenet", 224, "conv4_block26_concat", f"densenet169_{_TF}_notop.h5", "b8c4d4c20dd625c148057b9ff1c1176b"),
    "DenseNet201": BackboneInfo("densenet", 224, "conv4_block44_concat", f"densenet201_{_TF}_notop.h5", "c13680b51ded0fb44dff2d8f86ac8bb1"),
    # Two tensors connect the cells of a NASNet; the activation at the layer contains both.
    "NASNetMobile": BackboneInfo("nasnet", 224, "normal_concat_9", "nasnet_mobile_no_top.h5", "1ed92395b5b598bdda52abe5c0dbfd63"),
    "NASNetLarge": BackboneInfo("nasnet", 331, "normal_concat_13", "nasnet_large_no_top.h5", "d81d89dc07e6e56530c4e77faddd61b5"),
    "MobileNet": BackboneInfo("mobilenet", 224, "conv_dw_12_relu", "mobilenet_1_0_224_tf_no_top.h5"),
    "MobileNetV2": BackboneInfo("mobilenet_v2", 224, "block_13_project_BN", f"mobilenet_v2_{_TF}_1.0_224_no_top.h5"),
    "MobileNetV3Small": BackboneInfo("mobilenet_v3", 224, "expanded_conv_8_project_bn", "weights_mobilenet_v3_small_224_1.0_float_no_top_v2.h5", "d3e8ec802a04aa4fc771ee12a9a9b836"),
    "MobileNetV3Large": BackboneInfo("mobilenet_v3", 224, "expanded_conv_12_project_bn", "weights_mobilenet_v3_large_224_1.0_float_no_top_v2.h5", "07fb09a5933dd0c8eaafa16978110389"),
    "EfficientNetB0": BackboneInfo("efficientnet", 224, "block6c_add", "efficientnetb0_notop.h5", "50bc09e76180e00e4465e1a485ddc09d"),
    "EfficientNetB1": BackboneInfo("efficientnet", 240, "block6d_add", "efficientnetb1_notop.h5", "74c4e6b3e1f6a1eea24c589628592432"),
    "EfficientNetB2": BackboneInfo("efficientnet", 260, "block6d_add", "efficientnetb2_notop.h5", "111f8e2ac8aa800a7a99e3239f7bfb39"),
    "EfficientNetB3": BackboneInfo("efficientnet", 300, "block6e_add", "efficientnetb3_notop.h5", "af6d107764bb5b1abb91932881670226"),
    "EfficientNetB4": BackboneInfo("efficientnet", 380, "block6f_add", "efficientnetb4_notop.h5", "ebc24e6d6c33eaebbd558eafbeedf1ba"),
    "EfficientNetB5": BackboneInfo("efficientnet", 456, "block6g_add", "efficientnetb5_notop.h5", "38879255a25d3c92d5e44e04ae6cec6f"),
    "EfficientNetB6": BackboneInfo("efficientnet", 528, "block6i_add", "efficientnetb6_notop.h5", "9ecce42647a20130c1f39a5d4cb75743"),
    "EfficientNetB7": BackboneInfo("efficientnet", 600, "block6l_add", "efficientnetb7_notop.h5", "cbcfe4450ddf6f3ad90b1b398090fe4a"),
    "EfficientNetV2B0": BackboneInfo("efficientnet_v2", 224, "block6b_add", "efficientnetv2-b0_notop.h5", "893217f2bb855e2983157299931e43ff"),
    "EfficientNetV2B1": BackboneInfo("efficientnet_v2", 240, "block6d_add", "efficientnetv2-b1_notop.h5", "0e80663031ca32d657f9caa404b6ec37"),
    "EfficientNetV2B2": BackboneInfo("efficientnet_v2", 260, "block6d_add", "efficientnetv2-b2_notop.h5", "1dfe2e7a5d45b6632553a8961ea609eb"),
    "EfficientNetV2B3": BackboneInfo("efficientnet_v2", 300, "block6f_add", "efficientnetv2-b3_notop.h5", "f6abf7b5849ac99a89b50dd3fd532856"),
    "EfficientNetV2S": BackboneInfo("efficientnet_v2", 384, "block6a_project_bn", "efficientnetv2-s_notop.h5", "af0682fb74e8c54910f2d4393339c070"),
    "EfficientNetV2M": BackboneInfo("efficientnet_v2", 480, "block6l_add", "efficientnetv2-m_notop.h5", "1b8dc055df72dde80d614482840fe342"),
    "EfficientNetV2L": BackboneInfo("efficientnet_v2", 480, "block6q_add", "efficientnetv2-l_notop.h5", "b0b66b5c863aef5b46e8608fe1711615"),
    "ConvNeXtTiny": BackboneInfo("convnext", 224, "convnext_tiny_downsampling_block_2", "convnext_tiny_notop.h5", "d547c096cabd03329d7be5562c5e14798aa39ed24b474157cef5e85ab9e49ef1"),
    "ConvNeXtSmall": BackboneInfo("convnext", 224, "add_28", "convnext_small_notop.h5", "6fc8009faa2f00c1c1dfce59feea9b0745eb260a7dd11bee65c8e20843da6eab"),
    "ConvNeXtBase": BackboneInfo("convnext", 224, "add_28", "convnext_base_notop.h5", "40a20c5548a5e9202f69735ecc06c990e6b7c9d2de39f0361e27baeb24cb7c45"),
    "ConvNeXtLarge": BackboneInfo("convnext", 224, "add_28", "convnext_large_notop.h5", "96f02b6f0753d4f543261bc9d09bed650f24dd6bc02ddde3066135b63d23a1cd"),
    "ConvNeXtXLarge": BackboneInfo("convnext", 224, "add_28", "convnext_xlarge_notop.h5", "de3f8a54174130e0cecdc71583354753d557fcf1f4487331558e2a16ba0cfe05"),
}
# fmt: on
