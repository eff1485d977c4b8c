import sys, zmq, client_pb2 as pb
door = zmq.Context().socket(zmq.DEALER)
door.linger, door.rcvtimeo, _ = 0, 60_000, door.connect(sys.argv[1])
say = lambda kind, message: door.send(bytes([1, kind]) + message.SerializeToString())
say(pb.HELLO, pb.Hello(client="python"))
say(pb.SUBMIT, pb.Submit(tag=1, text=sys.argv[2], sampling=pb.Sampling(max_tokens=32)))
while frame := door.recv():
    if frame[1] == pb.TOKENS:
        for piece in pb.Tokens.FromString(frame[2:]).pieces: print(piece.text, end="", flush=True)
    if frame[1] == pb.FINISHED: sys.exit(print(pb.Finished.FromString(frame[2:]).text))
    if frame[1] == pb.ERROR: sys.exit(pb.Error.FromString(frame[2:]).message)
