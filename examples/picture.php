<?php
// A picture without extensions: php picture.php

$url = getenv('BRIDGE_URL') ?: 'http://127.0.0.1:8189';
$key = getenv('COMFYBRIDGE_API_KEY');

$answer = @file_get_contents("$url/generate", false, stream_context_create(['http' => [
    'method' => 'POST',
    'header' => array_filter(['Accept: image/*', 'Content-Type: application/json', $key ? "X-API-Key: $key" : '']),
    'content' => json_encode(['prompt' => 'a cat', 'steps' => 12, 'seed' => 7]),
    'timeout' => 330,
    'ignore_errors' => true, // the body of an error says what is wrong
]]));
if ($answer === false) {
    fwrite(STDERR, "No answer from $url.\n");
    exit(1);
}
if (!str_contains($http_response_header[0], ' 200')) {
    fwrite(STDERR, json_decode($answer)->error . "\n");
    exit(1);
}
file_put_contents('cat.png', $answer);
echo "cat.png\n";
