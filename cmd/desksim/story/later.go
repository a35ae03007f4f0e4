package story

var network, devices, recordings, badPBX []Story
