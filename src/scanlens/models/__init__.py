"""The networks: each one an `nn.Module` that takes x_BCHW (float32 in [0, 1]) and standardizes it itself.

`base.Network` states what every network offers; `mlp`, `lenet`, `vgg`, `autoencoder` and `encoder_classifier` are the
networks, `weights` writes and reads their tensors, `summary` lists their layers. Nothing is imported here, so that a
LeNet does not wait for torchvision.

Legend of axes: B images, C channels, H rows, W columns, K classes, D features.
"""
